/** Against a real broker that asks who is there. It is started once for all of these tests. */
import { afterAll, beforeAll, describe, setDefaultTimeout } from 'bun:test'
import { describeMatrix } from './matrix.ts'
import { Secured } from './secured.ts'

setDefaultTimeout(30_000)

describe('a secured Kafka', () => {
  let made: Secured | undefined
  const secured = () => {
    if (!made) throw new Error('Cannot test: the secured Kafka did not start')
    return made
  }
  beforeAll(async () => {
    made = await Secured.start()
  }, 60_000)
  afterAll(() => made?.close(), 30_000)

  describeMatrix(secured)
})
