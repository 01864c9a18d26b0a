/** Traces of a gateway by OpenTelemetry: loaded only where an exporter's address is configured. */
import { httpInstrumentationMiddleware } from '@hono/otel'
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { MiddlewareHandler } from 'hono'
import packageJson from '../../package.json' with { type: 'json' }
import { requestStatisticsOf } from '../core/request-statistics.ts'

/** Middleware that traces requests, and its shutdown. */
export interface Tracing {
  readonly middleware: readonly MiddlewareHandler[]
  /** Sends the remaining spans. */
  close(): Promise<void>
}

/**
 * Sets OpenTelemetry up for this process. Its own variables set the collector and the sampling
 * (`OTEL_EXPORTER_OTLP_…`, `OTEL_TRACES_SAMPLER`).
 *
 * @param serviceName `OTEL_SERVICE_NAME`. Default: the package's name.
 */
export function startTracing(serviceName: string = packageJson.name): Tracing {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': serviceName,
      'service.version': packageJson.version,
    }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  })
  trace.setGlobalTracerProvider(provider)
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  return {
    middleware: [
      httpInstrumentationMiddleware({
        spanNameFactory: (c) => `${c.req.method} ${requestStatisticsOf(c)?.route ?? c.req.path}`,
      }),
      withoutQuery,
    ],
    close: () => provider.shutdown(),
  }
}

/** Removes the query from spans: it may hold credentials, and spans leave this process. */
const withoutQuery: MiddlewareHandler = (c, next) => {
  const { origin, pathname } = new URL(c.req.url)
  trace.getActiveSpan()?.setAttribute('url.full', origin + pathname)
  return next()
}
