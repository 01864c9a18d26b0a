/**
 * OpenTelemetry spans of reads. Without a tracer provider there are none, and an app that has none need
 * not load OpenTelemetry's API: only its types are used here.
 */
import type {
  Link,
  ProxyTracerProvider,
  Span,
  SpanKind,
  SpanStatusCode,
  Tracer,
  TracerProvider,
} from '@opentelemetry/api'
import packageJson from '../../../package.json' with { type: 'json' }
import { headerEntry } from '../../port/kafka.ts'
import { textOf } from '../../records/encode.ts'
import type { ProcessedRecord } from '../../records/pipeline.ts'
import { type Slice, textsOf } from '../response/body.ts'
import type { Route } from './route.ts'
import type { ReadKind } from './route-statistics.ts'

/** The most records of a span that are searched for links, since a stream has no last record. */
const MAX_LINKS = 32
/** https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/
const ZEROS = /^0+$/

const CONSUMER: SpanKind.CONSUMER = 4
const ERROR: SpanStatusCode.ERROR = 2
/** Where OpenTelemetry's API, version 1, keeps what an app registers, for all copies of the API. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/**
 * The span of one read or stream. It links to the traces of its first records, which their headers
 * `traceparent` name.
 */
export class ReadTrace {
  readonly #span: Span
  readonly #links = new Set<string>()
  #records = 0
  /** Records that may still be searched for links. */
  #unsearched = MAX_LINKS

  private constructor(span: Span) {
    this.#span = span
  }

  /** Starts a span; undefined where none is recorded. */
  static begin({ options }: Route, kind: ReadKind): ReadTrace | undefined {
    const tracer = registeredTracer()
    if (!tracer) return undefined
    const { topics, clusterName } = options
    const name = topics.length === 1 ? `receive ${topics[0]}` : `receive ${topics.length} topics`
    const span = tracer.startSpan(name, {
      kind: CONSUMER,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.type': 'receive',
        'messaging.operation.name': kind,
        'messaging.destination.name': topics.join(','),
        ...(clusterName === undefined ? {} : { 'messaging.kafka.cluster.name': clusterName }),
      },
    })
    return span.isRecording() ? new ReadTrace(span) : undefined
  }

  add(slices: readonly Slice[]): void {
    for (const slice of slices) {
      this.#records += slice.end - slice.begin
      const end = Math.min(slice.end, slice.begin + this.#unsearched)
      this.#unsearched -= end - slice.begin
      for (const text of textsOf({ ...slice, end })) this.#addLink(linkOf(text))
    }
  }

  /** Like {@link add}, for records that are not encoded. */
  addRecords(records: readonly ProcessedRecord[]): void {
    this.#records += records.length
    const searched = records.slice(0, this.#unsearched)
    this.#unsearched -= searched.length
    for (const { headers } of searched) this.#addLink(headers && linkIn(headers))
  }

  #addLink(link: Link | undefined): void {
    if (!link || this.#links.has(link.context.spanId)) return
    this.#links.add(link.context.spanId)
    this.#span.addLink(link)
  }

  /** @param error The error that ended the read, if one did. */
  end(error?: unknown): void {
    this.#span.setAttribute('messaging.batch.message_count', this.#records)
    if (error !== undefined) {
      const message = error instanceof Error ? error.message : String(error)
      this.#span.setStatus({ code: ERROR, message })
    }
    this.#span.end()
  }
}

/**
 * The tracer of the app's provider. It is asked for each time: an app may register its provider late.
 */
function registeredTracer(): Tracer | undefined {
  const { name, version } = packageJson
  const provider = (globalThis as Registered)[REGISTERED]?.trace
  // The API's own provider passes on to the app's. Without one it would make spans that record nothing.
  return provider && 'getDelegateTracer' in provider
    ? provider.getDelegateTracer(name, version)
    : provider?.getTracer(name, version)
}

interface Registered {
  readonly [REGISTERED]?: { readonly trace?: TracerProvider | ProxyTracerProvider }
}

/** Runs a read in a span, which ends as the read does. */
export function traced<T>(
  route: Route,
  kind: ReadKind,
  read: (trace: ReadTrace | undefined) => Promise<T>,
): Promise<T> {
  const trace = ReadTrace.begin(route, kind)
  return trace ? inSpan(trace, read) : read(undefined)
}

async function inSpan<T>(
  trace: ReadTrace,
  read: (trace: ReadTrace | undefined) => Promise<T>,
): Promise<T> {
  try {
    const result = await read(trace)
    trace.end()
    return result
  } catch (error) {
    trace.end(error)
    throw error
  }
}

/** The trace that a record's header names, if any. */
function linkOf(json: string): Link | undefined {
  if (!json.includes('"traceparent"')) return undefined
  const { headers } = JSON.parse(json) as { headers?: Record<string, unknown> }
  return linkTo(String(headers?.['traceparent']))
}

/** The trace that a record's headers name; none where they name several. */
function linkIn(headers: NonNullable<ProcessedRecord['headers']>): Link | undefined {
  const named = headers.map(headerEntry).filter(([name]) => name === 'traceparent')
  const [value] = named.map(([, bytes]) => bytes && textOf(bytes))
  return named.length === 1 && value ? linkTo(value) : undefined
}

function linkTo(traceparent: string): Link | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  // https://www.w3.org/TR/trace-context/#trace-id: an id of zeros only is not valid.
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined
  const traceFlags = Number.parseInt(flags ?? '', 16)
  return { context: { traceId, spanId, traceFlags, isRemote: true } }
}
