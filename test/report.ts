/** Reads the JUnit report that `bun test` writes: the one source of what a run is said to come to. */
import { existsSync } from 'node:fs'
import { XMLParser } from 'fast-xml-parser'

/** The result of a run of the tests. */
export interface TestReport {
  /** Tests of files whose process did not crash. */
  readonly passed: number
  readonly skipped: number
  /** Tests that failed, and files whose process crashed. */
  readonly failures: readonly TestFailure[]
  /** The files whose tests have all run. */
  readonly finished: readonly string[]
  /** The files whose process crashed, or was ended with the run. Bun then aborts files that other processes run, or have yet to run. */
  readonly crashed: readonly string[]
}

/** A test that failed. */
export interface TestFailure {
  /** The test's name, behind the names of the groups that it is in. */
  readonly name: string
  /** The test's file and line, as `file:line`. */
  readonly place: string
  readonly message: string
}

/** A file of tests, a group of them, or all. */
interface Suite {
  readonly name: string
  readonly testsuite?: readonly Suite[]
  readonly testcase?: readonly Case[]
}

interface Case {
  readonly name: string
  readonly file: string
  readonly line: string
  readonly failure?: { readonly type?: string; readonly message?: string }
  readonly error?: { readonly type?: string; readonly message?: string }
  readonly skipped?: unknown
}

/** The name of the test by which Bun reports that a process crashed. */
const CRASH = '(worker crashed)'

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  // Bun writes line ends of messages as numbers.
  htmlEntities: true,
  // A folder with one file, or a file with one test, must be a list, too.
  isArray: (name) => name === 'testsuite' || name === 'testcase',
})

/**
 * @param path The report.
 * @param ended Why the run was ended before its end, as by a limit of time; undefined where it was not. Bun
 *   then reports files that were under way as those of processes that crashed.
 * @returns undefined where there is none, as after a run that crashed.
 */
export async function readReport(
  path: string,
  ended: string | undefined,
): Promise<TestReport | undefined> {
  if (!existsSync(path)) return undefined
  const { testsuites } = parser.parse(await Bun.file(path).text()) as { testsuites?: Suite }
  const files = testsuites?.testsuite ?? []
  const hasCrashed = ({ testcase = [] }: Suite) => testcase.some(({ name }) => name === CRASH)
  const crashed = files.filter(hasCrashed)
  const finished = files.filter((file) => !hasCrashed(file))
  const cases = finished.flatMap((file) => casesOf(file, []))
  const failed = cases.filter(({ failure, error }) => failure ?? error)
  const skipped = cases.filter((each) => each.skipped !== undefined).length
  return {
    passed: cases.length - failed.length - skipped,
    skipped,
    failures: [...failed.map(describe), ...crashed.map((file) => describeEnd(file, ended))],
    finished: finished.map(({ name }) => name),
    crashed: crashed.map(({ name }) => name),
  }
}

/** @param groups The names of the groups that the suite's tests are in, the outermost first. */
function casesOf({ testsuite = [], testcase = [] }: Suite, groups: readonly string[]): Case[] {
  return [
    ...testcase.map((each) => ({ ...each, name: [...groups, each.name].join(' > ') })),
    ...testsuite.flatMap((group) => casesOf(group, [...groups, group.name])),
  ]
}

function describe({ name, file, line, failure, error }: Case): TestFailure {
  const { message, type } = failure ?? error ?? {}
  return { name, place: `${file}:${line}`, message: message || String(type) }
}

/** The failure of a file whose process crashed, or was ended with the run. */
function describeEnd(file: Suite, ended: string | undefined): TestFailure {
  const last = casesOf(file, []).findLast(({ name }) => name !== CRASH)
  const moment = last ? `after the test "${last.name}" had ended` : 'before a test had ended'
  const place = file.name
  if (ended !== undefined) {
    return { name: 'the tests did not come to their end', place, message: `${ended}, ${moment}.` }
  }
  return {
    name: 'the process of the tests crashed',
    place,
    message: `It crashed ${moment}. Bun's report of the crash is in the output of this file.`,
  }
}
