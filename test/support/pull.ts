import type { PartLimits, SubscriptionPart } from '../../src/feed/pending-records.ts'
import type { Subscription } from '../../src/feed/subscription.ts'

/** Reads on until there is something to take, and takes it; undefined when nothing is at hand. */
export async function pull(
  subscription: Subscription,
  limits: PartLimits,
): Promise<SubscriptionPart | undefined> {
  return (await subscription.fill(limits.records)) ? subscription.take(limits) : undefined
}
