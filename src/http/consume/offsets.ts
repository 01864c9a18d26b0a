/** `POST …/offsets`: commits offsets for the group of a route with `commitStrategy: 'off'`. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { readLimited } from '../../core/read-limited.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { PartitionOffset } from '../../port/kafka.ts'
import { shortName } from '../../records/compact-cursor.ts'
import { PartitionTable, parseCursor } from '../../records/cursor.ts'
import { assertMayUseGroup, clientOf } from '../request/client.ts'
import { bodyOf } from '../request/request-body.ts'
import { READING } from '../response/method-not-allowed.ts'
import type { Route } from '../route/route.ts'

/** The most bytes of a body: some thousand partitions. */
const MAX_BODY_BYTES = 64 * 1024

/** Whether clients of a route commit for its group, by `POST …/offsets`. */
export function isCommittedByPost({
  commitStrategy,
  mode,
}: Pick<ResolvedOptions, 'commitStrategy' | 'mode'>): boolean {
  return commitStrategy === 'off' && mode !== 'server-sent-events'
}

/**
 * Commits `{"cursor":"…"}`, a cursor of an earlier answer, or `{"topic":{"0":42}}`, the next offset to
 * read of each partition. Answers 204 when Kafka has committed.
 *
 * @throws KafkaConsumeError
 */
export async function answerOffsets(c: Context, route: Route): Promise<Response> {
  const { topics } = route.options
  if (!isCommittedByPost(route.options)) {
    throw new KafkaConsumeError(
      'METHOD_NOT_ALLOWED',
      'Cannot commit offsets: this route commits by itself, or reads without a group',
      { allow: READING },
    )
  }
  const client = clientOf(c)
  assertMayUseGroup(client, route.hasClientGroups)
  const offsets = withNames(parseOffsets(await readText(c)), topics)
  for (const { topic } of offsets) {
    if (!topics.includes(topic)) {
      throw invalidOffsets(`topic "${topic.slice(0, 249)}" is not one of ${topics.join(', ')}`)
    }
  }
  const { cluster } = await route.lease()
  const known = new PartitionTable(await cluster.partitions(topics))
  for (const { topic, partition } of offsets) {
    if (known.indexOf(topic, partition) < 0) {
      throw invalidOffsets(`topic "${topic}" has no partition ${partition}`)
    }
  }
  const group = await route.group(client)
  await group.ready(c.req.raw.signal)
  await group.commit(offsets)
  return c.body(null, 204)
}

async function readText(c: Context): Promise<string> {
  try {
    const bytes = await readLimited(bodyOf(c), MAX_BODY_BYTES)
    if (bytes) return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalidOffsets('the body is not valid UTF-8, or did not arrive')
  }
  throw invalidOffsets(`the body must have at most ${MAX_BODY_BYTES} bytes`)
}

function parseOffsets(text: string): PartitionOffset[] {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw invalidOffsets(
      'the body is not valid JSON; {"cursor":"…"} or {"topic":{"0":42}} is expected',
    )
  }
  if (!isJsonObject(body))
    throw invalidOffsets('the body must be {"cursor":"…"} or {"topic":{"0":42}}')
  const { cursor } = body
  if (typeof cursor === 'string' && Object.keys(body).length === 1) {
    return parseCursor(cursor, 'cursor').map((entry) => {
      if ('offset' in entry) return entry
      throw invalidOffsets('a cursor with timestamps, or offsets below 0, names no offsets')
    })
  }
  const offsets = Object.entries(body).flatMap(([topic, partitions]) => {
    if (!isJsonObject(partitions))
      throw invalidOffsets(`the partitions of topic "${topic}" are not an object`)
    return Object.entries(partitions).map(([partition, offset]): PartitionOffset => {
      const isOffset = Number.isSafeInteger(offset) && (offset as number) >= 0
      if (!/^(0|[1-9]\d{0,8})$/.test(partition) || !isOffset) {
        throw invalidOffsets(
          `${topic}:${partition} must be a partition and an offset, whole numbers from 0`,
        )
      }
      return { topic, partition: Number(partition), offset: offset as number }
    })
  })
  if (offsets.length === 0) throw invalidOffsets('the body names no offsets')
  return offsets
}

/** Offsets whose topics have their names in place of the short names of a compact cursor. */
function withNames(
  offsets: readonly PartitionOffset[],
  topics: readonly string[],
): readonly PartitionOffset[] {
  const names = new Map(topics.map((topic) => [shortName(topic), topic]))
  return offsets.map((entry) => ({ ...entry, topic: names.get(entry.topic) ?? entry.topic }))
}

function invalidOffsets(state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_PARAMETER', `Cannot commit offsets: ${state}`)
}
