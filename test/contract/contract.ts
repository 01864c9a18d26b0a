import { afterAll, beforeAll, describe, setDefaultTimeout } from 'bun:test'
import type { BrokerFeatures, Target } from '../support/route.ts'
import { within } from '../support/wait.ts'
import { describeBadInput } from './bad-input.ts'
import { describeBounds } from './bounds.ts'
import { describeClients } from './clients.ts'
import { describeCompression } from './compression.ts'
import { describeDeadLetters } from './dead-letters.ts'
import { describeFilters } from './filters.ts'
import { describeFormats, describeOwnFormat } from './formats.ts'
import { describeGet } from './get.ts'
import { describeOffsets } from './offsets.ts'
import { describePageCaching, describePageScopes } from './page-caching.ts'
import { describePositions, describeRestrictedPositions } from './positions.ts'
import { describeReader } from './reader.ts'
import { describeSchemas } from './schemas.ts'
import { describeSharedGroups } from './shared-groups.ts'
import { describeSocket } from './socket.ts'
import { describeStreams } from './streams.ts'
import { describeTransform } from './transform.ts'

/** A real Kafka. */
const KAFKA: BrokerFeatures = { hasTopicIds: true }

/**
 * The answers that a client gets over real sockets, from any broker. Every test has topics and groups of
 * its own, so that none depends on another.
 */
export function describeContract(
  name: string,
  makeTarget: () => Promise<Target>,
  features: BrokerFeatures = KAFKA,
): void {
  describeServed(name, makeTarget, (target) => {
    describeWire(target, features)
    describeReader(target)
    describeClients(target)
    describeRestrictedPositions(target)
    describePageScopes(target, features)
    describeTransform(target)
    describeSchemas(target)
    describeOwnFormat(target)
    describeSharedGroups(target)
  })
}

/** The part of it that needs no code of the app's own: what serves may be another process. */
export function describeWireContract(name: string, makeTarget: () => Promise<Target>): void {
  describeServed(name, makeTarget, (target) => describeWire(target, KAFKA))
}

function describeWire(target: () => Target, features: BrokerFeatures): void {
  describeGet(target)
  describeBounds(target)
  describePositions(target)
  describePageCaching(target, features)
  describeStreams(target)
  describeBadInput(target)
  describeDeadLetters(target)
  describeFilters(target)
  describeCompression(target)
  describeOffsets(target)
  describeSocket(target)
  describeFormats(target)
}

function describeServed(
  name: string,
  makeTarget: () => Promise<Target>,
  describeTests: (target: () => Target) => void,
): void {
  // Every wait inside a test has a deadline of its own, which says what was waited for.
  setDefaultTimeout(120_000)
  describe(`contract on ${name}`, () => {
    let made: Target | undefined
    const target = () => {
      if (made === undefined) throw new Error(`Cannot test: ${name} did not start`)
      return made
    }
    beforeAll(async () => {
      made = await makeTarget()
    }, 120_000)
    afterAll(async () => {
      if (made !== undefined) await within(made.close(), `${name} to close`)
    }, 120_000)

    describeTests(target)
  })
}
