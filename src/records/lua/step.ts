import { encodeBody, encodePrefix } from '../encode.ts'
import type { PipelineStep } from '../pipeline.ts'
import { headersOf } from '../transform.ts'
import { LuaRunner } from './runner.ts'

/** The pipeline step of Kong's `message_by_lua_functions`. `docs/records.md` describes the functions. */
export function luaStep(functions: readonly string[]): PipelineStep {
  const runner = new LuaRunner(functions, 'records')
  return {
    code: 'TRANSFORM_FAILED',
    async run(record) {
      const { topic, partition } = record
      const json = encodePrefix(topic, partition) + encodeBody(record, 'noop')
      const result = await runner.run(json)
      if (result.status === 'dropped') return undefined
      // The message goes to the log only: it may tell internals of the function.
      if (result.status !== 'done') throw new Error(result.error)
      const { key, value, headers, extra } = changesOf(result.results)
      return {
        ...record,
        ...(key !== undefined && { keyJson: key }),
        ...(value !== undefined && { valueJson: value }),
        ...(headers !== undefined && { headers: headersOf(JSON.parse(headers)) }),
        ...(extra !== '' && { extraJson: extra }),
      }
    },
    close: () => runner.close(),
  }
}

/** The JSON of each changed field of a record, and further fields, each with a comma before it. */
export function changesOf([key, value, headers, extra]: ReadonlyArray<string | null>) {
  return {
    ...(typeof key === 'string' && { key }),
    ...(typeof value === 'string' && { value }),
    ...(typeof headers === 'string' && { headers }),
    extra: extra ?? '',
  }
}
