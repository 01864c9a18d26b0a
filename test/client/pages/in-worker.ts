/** A Web Worker that passes on the numbers of all records that come to it. */
import { stream } from '../../../src/client/index.ts'

const records = stream('/orders', { onOpen: () => postMessage('open') })
for await (const { value } of records) postMessage((value as { number: number }).number)
