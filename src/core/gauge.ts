/** A number that goes up and down, such as of open streams, summed over several threads. */
export interface Gauge {
  /** The sum over all threads. */
  readonly value: number
  /** The numbers of the other threads. */
  readonly others: readonly number[]
  /** Resolves when the gauge counts all threads; undefined once it does. */
  readonly counting?: Promise<void> | undefined
  add(change: number): void
  /** Ends the gauge: this thread's part of it is 0 from then on. */
  release(): void
}

/** A gauge of this thread alone. */
export class LocalGauge implements Gauge {
  value = 0
  readonly others = []

  add(change: number): void {
    this.value += change
  }

  release(): void {
    this.value = 0
  }
}

/** Makes the gauge of a name, which all threads of a process that ask for the name share. */
export type MakeGauge = (name: string) => Gauge
