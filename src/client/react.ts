'use client'

import { useEffect, useState } from 'react'
import {
  type AnyStreamOptions,
  type StreamSource,
  type UseKafkaStream,
  useStreamBy,
} from './use-kafka-stream.ts'

export type { KafkaStreamOptions, KafkaStreamState } from './use-kafka-stream.ts'

/**
 * Shows a stream's newest records in a React component. The stream ends with the component.
 *
 * ```tsx
 * const { records, status } = useKafkaStream('/stream', { filter: 'value.total > 100', schema: Order })
 * return <ul>{records.map(({ cursor, value }) => <li key={cursor}>{value.total}</li>)}</ul>
 * ```
 */
export const useKafkaStream: UseKafkaStream = (given: StreamSource, options?: AnyStreamOptions) =>
  useStreamBy({ useEffect, useState }, given, options)
