/** What is measured, and how it is written down. */

/** One figure, beside what it is compared with in the same run. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The same of what it is held against. */
  readonly beside: number | null
  readonly ratio: number | null
  /** What the ratio should be at least, or at most; null where there is none. */
  readonly goal: number | null
  readonly ok: boolean | null
  /** Which of both; of no meaning without a goal. */
  readonly isLimit: boolean
}

/** What `--json` writes of each. */
export const WRITTEN = ['name', 'value', 'unit', 'beside', 'ratio', 'goal', 'ok']

/**
 * @param beside Undefined for a figure that stands for itself.
 * @param goal What the ratio should be at least.
 */
export function figure(
  name: string,
  unit: string,
  value: number,
  beside?: number,
  goal: number | null = null,
): Figure {
  const ratio = beside === undefined ? null : value / beside
  const ok = goal === null || ratio === null ? null : ratio >= goal
  return { name, value, unit, beside: beside ?? null, ratio, goal, ok, isLimit: false }
}

/** @param goal What the ratio should be at most. */
export function limited(
  name: string,
  unit: string,
  value: number,
  beside: number,
  goal: number,
): Figure {
  const ratio = value / beside
  return { name, value, unit, beside, ratio, goal, ok: ratio <= goal, isLimit: true }
}

const HEADINGS = ['figure', 'value', 'unit', 'beside', 'ratio', 'goal', '']

/** As a table of Markdown, so that it goes into the documentation as it is. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, beside, ratio, goal, ok, isLimit }) => [
    name,
    short(value),
    unit,
    beside === null ? '' : short(beside),
    ratio === null ? '' : ratio.toFixed(2),
    goal === null ? '' : `${isLimit ? '≤' : '≥'} ${goal}`,
    ok === null ? '' : ok ? 'ok' : 'short',
  ])
  const widths = HEADINGS.map((heading, column) =>
    Math.max(...[heading, ...rows.map((row) => row[column] ?? '')].map((cell) => cell.length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (isText(column) ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(HEADINGS), rule, ...rows.map(line)].join('\n')
}

function isText(column: number): boolean {
  return column === 0 || column === 2 || column === 6
}

/** Three digits say all that a noisy machine knows. */
function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
