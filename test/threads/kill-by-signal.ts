/** Preloaded into a gateway: SIGUSR2 ends the thread that was started first. */
import { isMainThread, type Worker } from 'node:worker_threads'

if (isMainThread) {
  const threads: Worker[] = []
  process.on('worker', (thread) => threads.push(thread as Worker))
  process.on('SIGUSR2', () => void threads.shift()?.terminate())
}
