/** @jsxImportSource hono/jsx/dom */
import { useState } from 'hono/jsx'
import { render } from 'hono/jsx/dom'
import * as v from 'valibot'
import { useKafkaStream } from '../../../src/client/hono-jsx.ts'

const schema = v.object({ number: v.number() })
const parameters = new URLSearchParams(location.search)
const shared = parameters.has('shared')

function Records({ address }: { readonly address: string }) {
  const { records, status, error } = useKafkaStream(address, { schema, limit: 10, shared })
  return (
    <>
      <p id="status">{status}</p>
      <p id="error">{error?.message}</p>
      {records.map(({ cursor, value }) => (
        <li key={cursor}>{value.number}</li>
      ))}
    </>
  )
}

function Page() {
  const [isOpen, setOpen] = useState(true)
  const [address, setAddress] = useState(parameters.get('address') ?? '/orders')
  return (
    <>
      <button type="button" onClick={() => setOpen(false)}>
        Close
      </button>
      <button type="button" onClick={() => setAddress('/orders?partition=1')}>
        Change
      </button>
      {isOpen && <Records address={address} />}
    </>
  )
}

render(<Page />, document.querySelector('#root') as HTMLElement)
