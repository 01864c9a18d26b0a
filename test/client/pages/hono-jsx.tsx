/** @jsxImportSource hono/jsx/dom */
import { useState } from 'hono/jsx'
import { render } from 'hono/jsx/dom'
import * as v from 'valibot'
import { useKafkaStream } from '../../../src/client/hono-jsx.ts'

const schema = v.object({ number: v.number() })

function Records() {
  const { records, status } = useKafkaStream('/orders', { schema, limit: 10 })
  return (
    <>
      <p id="status">{status}</p>
      {records.map(({ cursor, value }) => (
        <li key={cursor}>{value.number}</li>
      ))}
    </>
  )
}

function Page() {
  const [isOpen, setOpen] = useState(true)
  return (
    <>
      <button type="button" onClick={() => setOpen(false)}>
        Close
      </button>
      {isOpen && <Records />}
    </>
  )
}

render(<Page />, document.querySelector('#root') as HTMLElement)
