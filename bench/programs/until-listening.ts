import { connect } from 'node:net'

/**
 * Waits until a program accepts connections at a port.
 *
 * @throws Error if the program ends, or does not accept any within the time.
 */
export async function untilListening(
  program: string,
  port: number,
  child: Bun.Subprocess,
  milliseconds: number,
): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`Cannot start ${program}: it takes no connections`)
    }
    await Bun.sleep(100)
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })
}
