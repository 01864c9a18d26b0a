/** Reads the report of a test run. */
import { existsSync } from 'node:fs'

export interface TestReport {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures: readonly Failure[]
}

/** A test that failed. */
export interface Failure {
  /** With the groups that it is in. */
  readonly name: string
  /** Where it is, as `file:line`. */
  readonly place: string
  readonly message: string
}

/** Without a report, as after a crash, nothing is counted. */
export async function readReport(report: string): Promise<TestReport> {
  if (!existsSync(report)) return { passed: 0, failed: 0, skipped: 0, failures: [] }
  const xml = await Bun.file(report).text()
  const counts = attributesOf(/<testsuites\b[^>]*>/.exec(xml)?.[0] ?? '')
  const failed = Number(counts['failures'] ?? 0) + Number(counts['errors'] ?? 0)
  const skipped = Number(counts['skipped'] ?? 0)
  const passed = Number(counts['tests'] ?? 0) - failed - skipped
  const failures = [...xml.matchAll(/(<testcase\b[^>]*>)\s*(<failure\b[^>]*>)/g)].map(
    ([, testcase = '', failure = '']) => {
      const { name = '', classname = '', file, line } = attributesOf(testcase)
      const { type, message = '' } = attributesOf(failure)
      // The innermost group comes first.
      const groups = classname === '' ? [] : classname.split(' > ').reverse()
      return {
        name: [...groups, name].join(' > '),
        place: `${file}:${line}`,
        message: message || String(type),
      }
    },
  )
  return { passed, failed, skipped, failures }
}

/** Bun escapes what a tag may not hold, so that attributes are all between quotes. */
function attributesOf(tag: string): Record<string, string> {
  const pairs = [...tag.matchAll(/([\w:-]+)="([^"]*)"/g)]
  return Object.fromEntries(pairs.map(([, name, value = '']) => [name, unescaped(value)]))
}

const NAMED: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) =>
    code ? String.fromCodePoint(Number(code)) : (NAMED[name] ?? whole),
  )
}
