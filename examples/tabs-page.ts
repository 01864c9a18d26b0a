/** The page of tabs.ts. */
import { sharedStream } from 'hono-kafka-consume/client'

const records = document.querySelector('#records') as HTMLElement

for await (const { partition, offset, value } of sharedStream('/orders')) {
  const item = document.createElement('li')
  item.textContent = `${partition}/${offset}  ${value}`
  records.append(item)
}
