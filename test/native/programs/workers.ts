import { isMainThread, Worker } from 'node:worker_threads'
import { connectProducer, disconnect, produce, read } from '../clients.ts'
import { startMockCluster } from '../clusters.ts'

async function readTen(): Promise<number> {
  const cluster = await startMockCluster()
  const topic = await cluster.createTopic()
  const producer = await connectProducer(cluster.brokers)
  await produce(
    producer,
    topic,
    Array.from({ length: 10 }, () => ({ value: Buffer.from('x') })),
  )
  const messages = await read(cluster.brokers, [{ topic, partition: 0, offset: 0 }], 10)
  await disconnect(producer)
  await cluster.close()
  return messages.length
}

function runWorker(): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.filename)
    worker.on('message', (text) => console.log(text))
    worker.on('error', reject)
    worker.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`Cannot go on: a worker ended with ${code}`)),
    )
  })
}

if (isMainThread) {
  await Promise.all([runWorker(), runWorker()])
  // The main thread's classes still work when those of a worker are gone.
  console.log(`main read ${await readTen()}`)
} else {
  postMessage(`worker read ${await readTen()}`)
}
