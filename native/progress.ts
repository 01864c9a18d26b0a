/** Shows steps on standard error: their progress, and how long they took. */

const isTerminal = process.stderr.isTTY === true
const intervalMs = isTerminal ? 100 : 5000

export interface Step {
  /** Shows the present work, such as the file that is being compiled. */
  update(detail: string, done?: number, total?: number): void
}

export async function step<T>(title: string, work: (step: Step) => Promise<T>): Promise<T> {
  const started = performance.now()
  let detail = ''
  const line = (suffix: string) =>
    `${title}${suffix} (${((performance.now() - started) / 1000).toFixed(0)} s)`
  const show = () => write(line(detail && `: ${detail}`), true)

  if (!isTerminal) write(`${title} …`, false)
  const timer = setInterval(show, intervalMs)
  try {
    const result = await work({
      update(text, done, total) {
        detail = total === undefined ? text : `${done}/${total} ${text}`
      },
    })
    write(line(': done'), false)
    return result
  } catch (error) {
    write(line(': failed'), false)
    throw error
  } finally {
    clearInterval(timer)
  }
}

export function say(text: string): void {
  write(text, false)
}

/** Writes a line. On a terminal the next line overwrites a passing one. */
function write(text: string, passing: boolean): void {
  if (!isTerminal) {
    process.stderr.write(`${text}\n`)
    return
  }
  const width = Math.max(20, process.stderr.columns ?? 80) - 1
  process.stderr.write(`\r\x1b[K${passing ? text.slice(0, width) : `${text}\n`}`)
}
