/** The page in React. Its records have the types of the server's schemas. */
import { hc } from 'hono/client'
import type { RecordByRoute } from 'hono-kafka-consume/client'
import { useKafkaStream } from 'hono-kafka-consume/client/react'
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import type { App } from './server.ts'

const client = hc<App>(location.origin)

/** Suggestions. Any expression in CEL is a filter. */
const FILTERS = [
  'value.type == "order.placed"',
  'value.total > 100',
  'value.type.startsWith("payment.")',
]

function Shop() {
  const [filter, setFilter] = useState('')
  return (
    <>
      <h1>Shop</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setFilter(String(new FormData(event.currentTarget).get('filter')).trim())
        }}
      >
        <label>
          Filter <input name="filter" list="filters" />
        </label>{' '}
        <button type="submit">Apply</button>
        <datalist id="filters">
          {FILTERS.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </form>
      <Events filter={filter} />
    </>
  )
}

/** The newest events that a filter accepts, and those that come. Another filter restarts the stream. */
function Events({ filter }: { readonly filter: string }) {
  const { records, status, error } = useKafkaStream(client.events, {
    start: '-50',
    limit: 50,
    ...(filter && { filter }),
  })
  return (
    <>
      <p role="status" data-status={status}>
        {error ? `${status}: ${error.message}` : status}
      </p>
      <table>
        <thead>
          <tr>
            <th>At</th>
            <th>Event</th>
            <th>Customer</th>
            <th>Total</th>
          </tr>
        </thead>
        <tbody>
          {records.toReversed().map((record) => (
            <Row key={record.cursor} record={record} />
          ))}
        </tbody>
      </table>
    </>
  )
}

function Row({ record }: { readonly record: RecordByRoute<typeof client.events> }) {
  // The server could not read this record, or it does not fit the schema.
  if (record.error) {
    return (
      <tr>
        <td colSpan={4}>{record.error.message}</td>
      </tr>
    )
  }
  const { at, type, customer, total } = record.value
  return (
    <tr>
      <td>{new Date(at).toLocaleTimeString()}</td>
      <td>{type}</td>
      <td>{customer}</td>
      <td>{total?.toFixed(2)}</td>
    </tr>
  )
}

createRoot(document.querySelector('#root') as HTMLElement).render(
  <StrictMode>
    <Shop />
  </StrictMode>,
)
