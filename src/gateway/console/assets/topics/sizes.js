// @ts-check
/** Sizes of topics and partitions on the disks of brokers, and how long Kafka keeps their records. */
import { html } from 'lit-html'
import { bytes, count, period } from '../format.js'

/** @typedef {import('./topic-data.js').Size} Size */
/** @typedef {import('./topic-data.js').TopicSetting} TopicSetting */

/**
 * A size, with the exact number and that of all replicas as its title.
 * @param {Size} size
 */
export function sizeText(size) {
  if (size.bytes === null) return '–'
  const all =
    size.replicaBytes === null ? '' : `; ${count(size.replicaBytes)} bytes with all replicas`
  return html`<span title="${count(size.bytes)} bytes${all}">${bytes(size.bytes)}</span>`
}

/** The value by which rows are sorted: unknown sizes are the smallest. @param {Size} size */
export function sizeValue(size) {
  return size.bytes ?? -1
}

/** Why sizes are unknown. @param {{ sizeError?: { message: string } }} facts */
export function sizeNote({ sizeError }) {
  return sizeError ? html`<p class="size-note">${sizeError.message}.</p>` : ''
}

/**
 * How long Kafka keeps records, by a topic's settings; undefined where they are unknown.
 * @param {TopicSetting[] | null} configuration
 */
export function retentionText(configuration) {
  const policies = settingOf(configuration, 'cleanup.policy')?.split(',') ?? []
  const deletes = policies.includes('delete')
  const compacts = policies.includes('compact')
  if (!deletes && !compacts) return undefined
  const newest = 'newest of each key'
  if (!deletes) return newest
  const limit = limitText(configuration)
  return compacts ? `${newest}, ${limit}` : limit
}

/** @param {TopicSetting[] | null} configuration */
function limitText(configuration) {
  const milliseconds = Number(settingOf(configuration, 'retention.ms') ?? -1)
  const size = Number(settingOf(configuration, 'retention.bytes') ?? -1)
  const limits = [
    ...(milliseconds >= 0 ? [period(milliseconds)] : []),
    ...(size >= 0 ? [`${bytes(size)} a partition`] : []),
  ]
  return limits.join(', ') || 'no limit'
}

/** Whether Kafka moves old records to tiered storage, which sizes do not count. @param {TopicSetting[] | null} configuration */
export function isTiered(configuration) {
  return settingOf(configuration, 'remote.storage.enable') === 'true'
}

/** @param {TopicSetting[] | null} configuration @param {string} wanted */
function settingOf(configuration, wanted) {
  return configuration?.find(({ name }) => name === wanted)?.value ?? undefined
}
