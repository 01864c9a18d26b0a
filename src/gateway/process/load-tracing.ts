import type { Tracing } from '../tracing.ts'

/** Loads OpenTelemetry where its own variables name a collector of traces. */
export async function loadTracing(environment: NodeJS.ProcessEnv): Promise<Tracing | undefined> {
  const collector =
    environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || environment['OTEL_EXPORTER_OTLP_ENDPOINT']
  if (!collector || environment['OTEL_SDK_DISABLED'] === 'true') return undefined
  const { startTracing } = await import('../tracing.ts')
  return startTracing(environment['OTEL_SERVICE_NAME'] || undefined)
}
