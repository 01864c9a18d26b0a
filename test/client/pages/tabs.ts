/** A tab that shows the numbers of all records that come to it. */
import { sharedStream } from '../../../src/client/index.ts'

const root = document.querySelector('#root') as HTMLElement
const records = sharedStream('/orders', {
  onCursor: () => {
    root.dataset['status'] = 'open'
  },
})
for await (const { value } of records) {
  const line = document.createElement('li')
  line.textContent = String((value as { number: number }).number)
  root.append(line)
}
