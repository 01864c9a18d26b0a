/** The page in React. Its records have the types of the topics' schemas. */
import { useKafkaStream } from 'hono-kafka-consume/client/react'
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { topics } from './topics.ts'

/** Suggestions. Any expression in CEL is a filter. */
const FILTERS = [
  'value.type == "order.placed"',
  'value.total > 100',
  'value.type.startsWith("payment.")',
]

function App() {
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
  const { records, status, error } = useKafkaStream('/events', {
    schema: topics,
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
          {records.toReversed().map(({ cursor, value }) => (
            <tr key={cursor}>
              <td>{new Date(value.at).toLocaleTimeString()}</td>
              <td>{value.type}</td>
              <td>{value.customer}</td>
              <td>{value.total?.toFixed(2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

createRoot(document.querySelector('#root') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
