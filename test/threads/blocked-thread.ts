/** Loaded into each thread by `block-by-signal.ts`. */
import { workerData } from 'node:worker_threads'

const { index } = workerData as { readonly index: number }
const channel = new BroadcastChannel('block')
channel.addEventListener('message', ({ data }) => {
  if (data !== index) return
  for (;;) {
    // It never ends.
  }
})
