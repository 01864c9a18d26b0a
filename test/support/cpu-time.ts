/**
 * Milliseconds of processor time that this process has used: a bound on work holds by it on a machine
 * that is busy with other processes, too.
 */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
