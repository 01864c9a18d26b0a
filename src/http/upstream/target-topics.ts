import { KafkaConsumeError } from '../../core/errors.ts'
import type { ResolvedUpstreamOptions } from '../../options/upstream-options.ts'

/** Kong's words for a topic that a request may not name. */
const NOT_ALLOWED = 'one or more target topics are not in the allowed topics list'

/**
 * The topics of a request: those that its query names, separated by commas, else the default topic.
 *
 * @throws KafkaConsumeError FORBIDDEN for a topic that is not allowed, whose detail names it.
 */
export function topicsOf(
  { searchParams }: URL,
  { topic, topicsQueryArg, allowedTopics = [] }: ResolvedUpstreamOptions,
): string[] {
  const named = topicsQueryArg === undefined ? [] : searchParams.getAll(topicsQueryArg)
  const topics = named.flatMap((list) => list.split(',')).map((name) => name.trim())
  const wanted = new Set(topics.filter((name) => name !== ''))
  if (wanted.size === 0) return [topic]
  for (const name of wanted) {
    if (name === topic || allowedTopics.includes(name)) continue
    throw new KafkaConsumeError('FORBIDDEN', NOT_ALLOWED, {
      detail: `Cannot write to topic ${name.slice(0, 249)}: ${NOT_ALLOWED}`,
    })
  }
  return [...wanted]
}
