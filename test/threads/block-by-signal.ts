/**
 * Preloaded into a gateway: at SIGUSR2 the thread with the number 0 begins an endless loop. Each thread
 * is given a module for that, which is loaded before its own.
 */
import { createRequire } from 'node:module'
import type { WorkerOptions } from 'node:worker_threads'

const threads = createRequire(import.meta.url)('node:worker_threads') as {
  Worker: typeof import('node:worker_threads').Worker
}
const { Worker } = threads
threads.Worker = class extends Worker {
  constructor(program: string | URL, options: WorkerOptions) {
    const preload = [import.meta.resolve('./blocked-thread.ts')]
    super(program, { ...options, preload } as WorkerOptions)
  }
}

const channel = new BroadcastChannel('block')
process.on('SIGUSR2', () => channel.postMessage(0))
