import { isatty } from 'node:tty'
import { logOf } from '../../core/log.ts'

/** The file descriptor of standard input. */
const STDIN = 0

const log = logOf('server')

/** A file that SIGHUP reads again. */
export interface ReloadedFile {
  readonly path: string
  /** Resolves with a description of what is now served, such as "3 routes". */
  read(): Promise<string>
}

/**
 * Reads all files again at each SIGHUP, one after the other; a file with an error changes nothing.
 * Without files SIGHUP is ignored: process supervisors send it to have settings read again.
 *
 * @param shutDown Called when the terminal that the process reads from has been closed.
 */
export function reloadOnHangUp(files: readonly ReloadedFile[], shutDown: () => void): void {
  const hadTerminal = isatty(STDIN)
  let last = Promise.resolve()
  process.on('SIGHUP', () => {
    // Without this, a closed terminal leaves a process behind that nobody sees and that holds its
    // port. `nohup` and process supervisors give the process no terminal to read from.
    if (hadTerminal && !isatty(STDIN)) shutDown()
    else if (files.length === 0) {
      log.info('SIGHUP: ignored, there is no file to read again (--config, --clients, --tls-cert)')
    }
    for (const file of files) last = last.then(() => reload(file))
  })
}

async function reload({ path, read }: ReloadedFile): Promise<void> {
  try {
    log.info('SIGHUP: {served} of {path} are served', { served: await read(), path })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log.error('SIGHUP: {message}. What was served before still is', { message })
  }
}
