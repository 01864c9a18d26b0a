import { beforeAll } from 'bun:test'
import { provideChromium } from '../support/chromium.ts'

/** Milliseconds that an installation of Chromium may take. */
const INSTALLATION_MS = 600_000

/** Installs Chromium before the tests of a file where it is missing, so that no test waits for it. */
export function needChromium(): void {
  beforeAll(async () => {
    await provideChromium()
  }, INSTALLATION_MS)
}
