/** Reads the report of a test run. */
import { existsSync } from 'node:fs'

export interface TestCount {
  passed: number
  failed: number
  skipped: number
}

/** Without a report, as after a crash, nothing is counted. */
export async function countTests(report: string): Promise<TestCount> {
  if (!existsSync(report)) return { passed: 0, failed: 0, skipped: 0 }
  const root = /<testsuites\b[^>]*>/.exec(await Bun.file(report).text())?.[0] ?? ''
  const read = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0)
  const failed = read('failures') + read('errors')
  const skipped = read('skipped')
  return { passed: read('tests') - failed - skipped, failed, skipped }
}
