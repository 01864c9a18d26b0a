import parse from 'parse-prometheus-text-format'

/** A sample as a parser of Prometheus's text format returns it. */
interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'COUNTER' | 'GAUGE' | 'HISTOGRAM' | 'SUMMARY' | 'UNTYPED'
  readonly metrics: ReadonlyArray<{
    readonly labels?: Readonly<Record<string, string>>
    readonly value: string
  }>
}

/** An exposition, read by a parser that is not ours. */
export class Exposition {
  readonly families: readonly Family[]
  readonly #samples: readonly Family[]

  /** @throws Error that names the line that is none. */
  constructor(text: string) {
    this.families = parse(text) as Family[]
    // The parser throws histograms of all labels together; without a type it leaves samples alone.
    this.#samples = parse(text.replaceAll(/^# TYPE .*\n/gm, '')) as Family[]
  }

  get names(): string[] {
    return this.families.map(({ name }) => name)
  }

  /** How many series a metric has. */
  series(name: string): number {
    return this.#samples.find((family) => family.name === name)?.metrics.length ?? 0
  }

  /** The sum of all samples that have these labels. Of a histogram, ask for its `_count`. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.#samples
      .find((family) => family.name === name)
      ?.metrics.filter((metric) =>
        Object.entries(labels).every(([label, value]) => metric.labels?.[label] === value),
      )
    if (!found?.length) return undefined
    return found.reduce((sum, { value }) => sum + Number(value), 0)
  }
}

/**
 * The id of the only consumer group that a gateway has read as.
 *
 * @param url The address of the gateway.
 */
export async function groupOf(url: string): Promise<string> {
  const text = await (await fetch(new URL('/metrics', url))).text()
  const ids = new Set([...text.matchAll(/[{,]group="(.*?)"/g)].map(([, id]) => id))
  const [id, ...others] = ids
  if (id === undefined || others.length > 0) throw new Error(`Groups of ${url}: ${[...ids]}`)
  return id
}
