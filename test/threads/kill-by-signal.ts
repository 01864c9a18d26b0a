/**
 * Preloaded into a gateway: at SIGUSR2 the thread that was started first ends by an error, since it is
 * sent a message that no thread understands.
 */
import type { Worker } from 'node:worker_threads'

const threads: Worker[] = []
process.on('worker', (thread) => threads.push(thread as Worker))
process.on('SIGUSR2', () => threads.shift()?.postMessage(null))
