/** Tests against a real broker with authentication. It is started once for all of them. */
import { afterAll, beforeAll, describe, setDefaultTimeout } from 'bun:test'
import { describeCompression } from './compression.ts'
import { describeDelegationTokens } from './delegation-tokens.ts'
import { describeFailures } from './failures.ts'
import { describeGateway } from './gateway.ts'
import { describeKongProducers } from './kong-producers.ts'
import { describeMatrix } from './matrix.ts'
import { describeOpenStreams } from './open-streams.ts'
import { describeProducing } from './producing.ts'
import { Secured } from './secured.ts'
import { describeTokens } from './tokens.ts'
import { describeTopicSizes } from './topic-sizes.ts'

// Each wait has a deadline of its own; Kafka's tools take seconds where a machine is busy.
setDefaultTimeout(90_000)

describe('a secured Kafka', () => {
  let made: Secured | undefined
  const secured = () => {
    if (!made) throw new Error('Cannot test: the secured Kafka did not start')
    return made
  }
  beforeAll(async () => {
    made = await Secured.start()
  }, 180_000)
  afterAll(() => made?.close(), 60_000)

  describeMatrix(secured)
  describeTokens(secured)
  describeDelegationTokens(secured)
  describeCompression(secured)
  describeProducing(secured)
  describeGateway(secured)
  describeKongProducers(secured)
  describeTopicSizes(secured)
  describeFailures(secured)
  describeOpenStreams(secured)
})
