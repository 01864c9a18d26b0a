/** Identifies processes that go on after the process that started them. */
import { existsSync, readFileSync } from 'node:fs'

/** A process by id and start time, since the system may give the id of a dead process to another one. */
export interface ProcessIdentity {
  readonly pid: number
  readonly started: string
}

export function identify(pid: number): ProcessIdentity {
  return { pid, started: startTime(pid) ?? '' }
}

export function isAlive({ pid, started }: ProcessIdentity): boolean {
  return started !== '' && startTime(pid) === started
}

/** Signals the process unless its id now belongs to another one. */
export function signalProcess(process_: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(process_)) return
  try {
    process.kill(process_.pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** Waits until the process has ended. @returns Whether it ended within the time. */
export async function waitForEnd(process_: ProcessIdentity, milliseconds: number) {
  const deadline = performance.now() + milliseconds
  while (isAlive(process_)) {
    if (performance.now() > deadline) return false
    await Bun.sleep(20)
  }
  return true
}

/** The start time of a process; undefined if it does not exist or is a zombie. */
function startTime(pid: number): string | undefined {
  if (process.platform === 'linux') return startTimeFromProc(pid)
  const ps = Bun.spawnSync(['ps', '-o', 'stat=,lstart=', '-p', String(pid)])
  const [stat = '', ...started] = ps.stdout.toString().trim().split(/\s+/)
  return stat === '' || stat.startsWith('Z') ? undefined : started.join(' ')
}

function startTimeFromProc(pid: number): string | undefined {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path)) return undefined
  try {
    // The second field is the program's name in parentheses, which may contain spaces.
    const content = readFileSync(path, 'utf8')
    const fields = content.slice(content.lastIndexOf(')') + 2).split(' ')
    const [state, ticksSinceBoot] = [fields[0], fields[19]]
    return state === 'Z' || state === 'X' ? undefined : `${bootId()} ${ticksSinceBoot}`
  } catch {
    return undefined // The process ended between the two calls.
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
