/** The hook of `client/react` and `client/hono-jsx`, made of the library's own hooks. */

import type { ReceivedRecord, RecordBySchema, ValueSchemas } from './record.ts'
import {
  addressOfRoute,
  type RecordByRoute,
  type RouteParameters,
  type StreamRoute,
} from './route.ts'
import { sharedStream } from './shared-stream.ts'
import { type StreamOptions, stream } from './stream.ts'

/**
 * The options of `useKafkaStream`. Another address, position, end, filter, group or limit restarts the stream;
 * callbacks, `headers`, `schema` and the other options are those of the render that started it last.
 */
export interface KafkaStreamOptions<Schemas extends ValueSchemas | undefined = undefined>
  extends Omit<StreamOptions<Schemas>, 'signal'> {
  /** Records that the component keeps, the newest ones. Default: 100. */
  readonly limit?: number
  /** Whether the tabs of a browser share one connection; `start` and `cursor` have no effect then. Default: false. */
  readonly shared?: boolean
  /** With `shared`: tabs with different groups do not share. Required with `headers` or `fetch`. */
  readonly group?: string
}

/** The state of a component's stream. */
export interface KafkaStreamState<Received> {
  /** The newest records, the oldest of them first. */
  readonly records: readonly Received[]
  /**
   * `retrying` while the client waits before it connects again; `failed` when a retry cannot succeed;
   * `ended` when all records before `end` have come.
   */
  readonly status: 'connecting' | 'open' | 'retrying' | 'failed' | 'ended'
  /** Why the stream is retrying or has failed. */
  readonly error: Error | undefined
}

/** The hooks of React, or of a library like it. */
export interface ViewHooks {
  readonly useState: <State>(
    initial: State,
  ) => readonly [State, (change: State | ((before: State) => State)) => void]
  readonly useEffect: (effect: () => () => void, dependencies: readonly unknown[]) => void
}

/** The hook of a library. */
export interface UseKafkaStream {
  <const Schemas extends ValueSchemas | undefined = undefined>(
    url: string | URL,
    options?: KafkaStreamOptions<Schemas>,
  ): KafkaStreamState<RecordBySchema<Schemas>>
  <Route extends StreamRoute>(
    route: [RecordByRoute<Route>] extends [never] ? never : Route,
    options?: KafkaStreamOptions & RouteParameters,
  ): KafkaStreamState<RecordByRoute<Route>>
}

/** An address, or a route of `hc`. */
export type StreamSource = string | URL | StreamRoute

/** The options of each form of the hook. */
export type AnyStreamOptions = KafkaStreamOptions<ValueSchemas | undefined> & RouteParameters

/** How long records are collected before the component is rendered again. */
const RENDER_MS = 50

/** The hook, by the hooks of a library. The records are of the type that the caller knows. */
export function useStreamBy(
  { useState, useEffect }: ViewHooks,
  given: StreamSource,
  options: AnyStreamOptions = {},
): KafkaStreamState<never> {
  const [state, setState] = useState<State>(INITIAL)
  const { start, cursor, end, filter, topic, partition, key, shared, group, limit } = options
  const wanted = { start, cursor, end, filter, topic, partition, key, shared, group, limit }
  useEffect(() => {
    setState(INITIAL)
    return follow(given, options, setState)
    // As text, since each render has other objects.
  }, [JSON.stringify([addressText(given, options), wanted])])
  return state as KafkaStreamState<never>
}

/** The address as text. An address that cannot be used fails when the stream begins. */
function addressText(given: StreamSource, options: RouteParameters): string {
  try {
    return String(addressOfRoute(given, options))
  } catch (error) {
    return String(error)
  }
}

type State = KafkaStreamState<ReceivedRecord>

const INITIAL = { records: [], status: 'connecting', error: undefined } as const

/** Reads until the function that it returns is called. */
function follow(
  given: StreamSource,
  options: AnyStreamOptions,
  setState: (change: (before: State) => State) => void,
): () => void {
  const { limit = 100, shared = false } = options
  const left = new AbortController()
  // A callback may come when the component shows another stream already.
  const update: typeof setState = (change) => {
    if (!left.signal.aborted) setState(change)
  }
  let waiting: ReceivedRecord[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const render = () => {
    timer = undefined
    const received = waiting
    waiting = []
    update((before) => ({ ...before, records: [...before.records, ...received].slice(-limit) }))
  }
  const read = async () => {
    const own: StreamOptions<ValueSchemas | undefined> = {
      ...options,
      signal: left.signal,
      onOpen: () => {
        options.onOpen?.()
        update((before) => ({ ...before, status: 'open', error: undefined }))
      },
      onRetry: (error, delay) => {
        options.onRetry?.(error, delay)
        update((before) => ({ ...before, status: 'retrying', error }))
      },
    }
    const address = addressOfRoute(given, options)
    for await (const record of shared ? sharedStream(address, own) : stream(address, own)) {
      waiting.push(record)
      if (waiting.length > limit) waiting.shift()
      timer ??= setTimeout(render, RENDER_MS)
    }
    clearTimeout(timer)
    render()
    update((before) => ({ ...before, status: 'ended', error: undefined }))
  }
  read().catch((error: Error) => update((before) => ({ ...before, status: 'failed', error })))
  return () => {
    left.abort()
    clearTimeout(timer)
  }
}
