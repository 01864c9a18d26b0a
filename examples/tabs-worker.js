/** The SharedWorker of tabs.html: one EventSource for all tabs, each of which has a port. */
const ports = new Set()
const source = new EventSource('/orders')
source.onmessage = ({ data, lastEventId }) => {
  for (const port of ports) port.postMessage({ data, lastEventId })
}
addEventListener('connect', ({ ports: [port] }) => {
  ports.add(port)
  port.onmessage = ({ data }) => {
    if (data === 'leave') ports.delete(port)
  }
})
