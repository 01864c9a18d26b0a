/** @jsxImportSource react */
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import * as v from 'valibot'
import { useKafkaStream } from '../../../src/client/react.ts'

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

createRoot(document.querySelector('#root') as HTMLElement).render(<Page />)
