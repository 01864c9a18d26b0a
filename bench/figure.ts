/** Figures, and the table and JSON that they are written as. */
import type { Statistic } from './rounds.ts'

/** One figure, beside the figure that it is compared with in the same run. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The figure that `value` is compared with; null if there is none. */
  readonly beside: number | null
  readonly ratio: number | null
  /** The lowest or highest ratio that is good enough; null without a goal. */
  readonly goal: number | null
  readonly ok: boolean | null
  /** Whether the goal is the highest ratio instead of the lowest. */
  readonly isLimit: boolean
  /** The largest round less the smallest, as a share of the median, of the side where it is larger. */
  readonly spread?: number
}

/** A value that was measured once, or in several rounds. */
type Value = number | Statistic

/** The fields of a figure that `--json` writes. */
export const WRITTEN = ['name', 'value', 'unit', 'beside', 'ratio', 'goal', 'ok', 'spread']

/**
 * @param beside The figure to compare with; undefined if there is none.
 * @param goal The lowest ratio that is good enough.
 */
export function figure(
  name: string,
  unit: string,
  value: Value,
  beside?: Value,
  goal: number | null = null,
): Figure {
  return compared({ name, unit, goal, isLimit: false }, value, beside)
}

/** @param goal The highest ratio that is good enough. */
export function limited(
  name: string,
  unit: string,
  value: Value,
  beside: Value,
  goal: number,
): Figure {
  return compared({ name, unit, goal, isLimit: true }, value, beside)
}

function compared(
  named: Pick<Figure, 'name' | 'unit' | 'goal' | 'isLimit'>,
  value: Value,
  beside: Value | undefined,
): Figure {
  const { goal, isLimit } = named
  const ours = medianOfValue(value)
  const other = beside === undefined ? null : medianOfValue(beside)
  const ratio = other === null ? null : ours / other
  const isMet = ratio !== null && goal !== null && (isLimit ? ratio <= goal : ratio >= goal)
  const ok = ratio === null || goal === null ? null : isMet
  const spreads = [value, beside].flatMap((one) =>
    typeof one === 'object' ? (one.spread ?? []) : [],
  )
  const spread = spreads.length > 0 ? { spread: Math.max(...spreads) } : {}
  return { ...named, value: ours, beside: other, ratio, ok, ...spread }
}

function medianOfValue(value: Value): number {
  return typeof value === 'number' ? value : value.median
}

const HEADINGS = ['figure', 'value', 'unit', 'beside', 'ratio', 'goal', '', 'spread']

/** The figures as a table of Markdown, for the documentation. */
export function tableOf(figures: readonly Figure[]): string {
  const hasSpread = figures.some(({ spread }) => spread !== undefined)
  const headings = hasSpread ? HEADINGS : HEADINGS.slice(0, -1)
  const rows = figures.map((one) => cellsOf(one).slice(0, headings.length))
  const widths = headings.map((heading, column) =>
    Math.max(...[heading, ...rows.map((row) => row[column] ?? '')].map((cell) => cell.length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (isText(column) ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(headings), rule, ...rows.map(line)].join('\n')
}

function cellsOf(one: Figure): string[] {
  const { name, value, unit, beside, ratio, goal, ok, isLimit, spread } = one
  return [
    name,
    short(value),
    unit,
    beside === null ? '' : short(beside),
    ratio === null ? '' : ratio.toFixed(2),
    goal === null ? '' : `${isLimit ? '≤' : '≥'} ${goal}`,
    verdictOf(ok),
    spread === undefined ? '' : `${(spread * 100).toFixed(0)} %`,
  ]
}

function verdictOf(ok: boolean | null): string {
  if (ok === null) return ''
  return ok ? 'ok' : 'short'
}

function isText(column: number): boolean {
  return column === 0 || column === 2 || column === 6
}

/** Three digits: a noisy machine does not measure more. */
function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
