import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type LaunchOptions,
  type Page,
} from 'playwright-core'
import { canInstall, installPackages } from '../../tools/kafka/system.ts'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A real browser, with a page and a profile of its own. */
export class Browser implements AsyncDisposable {
  readonly page: Page
  /** The errors of all pages: lines of their consoles, exceptions, and files that did not load. */
  readonly errors: string[] = []
  readonly #context: BrowserContext
  readonly #profile: string

  private constructor(context: BrowserContext, page: Page, profile: string) {
    this.#context = context
    this.page = page
    this.#profile = profile
    this.#observe(page)
    context.on('page', (opened) => this.#observe(opened))
  }

  /** @param options Settings that differ from the browser's defaults. */
  static async start(
    options: BrowserContextOptions & Pick<LaunchOptions, 'args'> = {},
  ): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'chromium-'))
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: await provideChromium(),
      headless: true,
      args: FLAGS,
      viewport: { width: 1440, height: 900 },
      colorScheme: 'light',
      permissions: ['clipboard-read', 'clipboard-write'],
      ...options,
    })
    return new Browser(context, context.pages()[0] ?? (await context.newPage()), profile)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close()
    rmSync(this.#profile, { recursive: true, force: true })
  }

  #observe(page: Page): void {
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.errors.push(message.text())
      }
    })
    page.on('pageerror', (error) => this.errors.push(error.message))
    page.on('dialog', (dialog) => {
      this.errors.push(`a dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
  }
}

/** Chromium's path; it is installed where that is possible without asking. */
export async function provideChromium(): Promise<string> {
  const find = () => Bun.which('chromium') ?? Bun.which('chromium-browser')
  const found = find()
  if (found) return found
  if (!canInstall()) {
    throw new Error('Cannot try the console page: this machine lacks Chromium. Install it')
  }
  const log = join(tmpdir(), 'chromium-setup.log')
  await installPackages('Chromium', ['chromium', 'fonts-dejavu-core'], log)
  const installed = find()
  if (installed) return installed
  throw new Error('Cannot try the console page: apt-get ran, but Chromium is still missing')
}
