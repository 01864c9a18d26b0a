/** axe in a page: WCAG 2.2 AA and best practices. */
import { readFileSync } from 'node:fs'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** Each theme at the widths of a phone and of a desktop. */
export const THEMES_AND_WIDTHS = [390, 1440].flatMap((width) =>
  (['light', 'dark'] as const).map((theme) => [width, theme] as const),
)

/** Sets the width of a page and its theme. */
export async function dress(page: Page, width: number, theme: 'light' | 'dark'): Promise<void> {
  await page.setViewportSize({ width, height: 900 })
  await page.emulateMedia({ colorScheme: theme })
}

/**
 * The findings of axe in a page, and its width where its content does not fit.
 *
 * @param page One whose browser bypasses content security policies, which would refuse the script that axe is.
 */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<AxeResults>(
    `axe.run({ runOnly: ${JSON.stringify(RULES)} })`,
  )
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`),
  )
  const width = await page.evaluate<number>('document.documentElement.scrollWidth')
  return width === page.viewportSize()?.width ? found : [...found, `is ${width} px wide`]
}
