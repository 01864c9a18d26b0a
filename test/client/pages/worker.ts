/** A page that shows the numbers which its Web Worker reads. */
const root = document.querySelector('#root') as HTMLElement
const worker = new Worker('/in-worker.js', { type: 'module' })
worker.onmessage = ({ data }) => {
  if (data === 'open') {
    root.dataset['status'] = 'open'
    return
  }
  const line = document.createElement('li')
  line.textContent = data
  root.append(line)
}
