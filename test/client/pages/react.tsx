/** @jsxImportSource react */
import { StrictMode, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import * as v from 'valibot'
import { useKafkaStream } from '../../../src/client/react.ts'

const schema = v.object({ number: v.number() })
const parameters = new URLSearchParams(location.search)
const shared = parameters.has('shared')
let mounts = 0

function Records({ address }: { readonly address: string }) {
  const { records, status, error } = useKafkaStream(address, { schema, limit: 10, shared })
  useEffect(() => {
    mounts++
    document.body.dataset['mounts'] = String(mounts)
  }, [])
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

createRoot(document.querySelector('#root') as HTMLElement).render(
  parameters.has('strict') ? (
    <StrictMode>
      <Page />
    </StrictMode>
  ) : (
    <Page />
  ),
)
