import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GatewayProcess } from '../../gateway/gateway-process.ts'

/** Where the work fails, keeps all that a gateway has logged, and what it counts, in files that the error names. */
export async function withEvidence<T>(
  gateway: GatewayProcess,
  url: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const folder = mkdtempSync(join(tmpdir(), 'faults-'))
    writeFileSync(join(folder, 'log.txt'), gateway.stderr)
    const metrics = await fetch(`${url}/metrics`).then(
      (response) => response.text(),
      (failure) => String(failure),
    )
    writeFileSync(join(folder, 'metrics.txt'), metrics)
    throw new Error(`${error instanceof Error ? error.message : error}\nEvidence: ${folder}`, {
      cause: error,
    })
  }
}
