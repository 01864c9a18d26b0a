// @ts-check
/** The topics of the gateway, by `/topics`, asked for again and again while a view shows them. */
import { withCredentials } from '../credentials.js'
import { every } from '../dom.js'

/** @typedef {{ id: string, state: string, lag: number }} TopicGroup */
/** @typedef {{ bytes: number | null, replicaBytes: number | null }} Size */
/**
 * @typedef {Size & {
 *   name: string, routes: string[], partitions: number, records: number, end: number,
 *   rate: number | null, replicas: number, underReplicated: number, groups: TopicGroup[],
 * }} ListedTopic
 */
/** @typedef {{ code: string, message: string }} Failure */
/** @typedef {{ name: string, error?: Failure, topics: ListedTopic[], sizeError?: Failure, groupsLeftOut: number }} ListedCluster */
/** @typedef {{ clusters: ListedCluster[] }} TopicList */
/** @typedef {Size & { partition: number, start: number, end: number, rate: number | null, leader: number | null, replicas: number[], inSync: number[] }} TopicPartition */
/** @typedef {{ id: string, state: string, members: number, lag: number, partitions: Array<{ partition: number, committed: number, lag: number }> }} ReadingGroup */
/** @typedef {{ name: string, value: string | null, isDefault: boolean }} TopicSetting */
/**
 * @typedef {Size & {
 *   cluster: string, error?: Failure, sizeError?: Failure, name: string, routes: string[], rate: number | null,
 *   partitions: TopicPartition[], groups: ReadingGroup[], groupsLeftOut: number,
 *   configuration: TopicSetting[] | null,
 * }} DescribedTopic
 */

const INTERVAL = 5_000

/**
 * Asks for data again and again, until the signal ends that.
 * @template T
 * @param {string} path Below `/topics`, or empty for the list.
 * @param {(found: T | undefined, failure: string | undefined) => void} onAnswer Called with data, or with why there are none.
 * @param {AbortSignal} signal
 */
export function follow(path, onAnswer, signal) {
  const address = (document.documentElement.dataset['topics'] ?? '/topics') + path
  void every(
    INTERVAL,
    async () => {
      const { found, failure } = await ask(address, signal)
      if (!signal.aborted) onAnswer(found, failure)
    },
    signal,
  )
}

/** @param {string} address @param {AbortSignal} signal */
async function ask(address, signal) {
  try {
    const response = await fetch(withCredentials(address), { signal })
    if (response.ok) return { found: await response.json() }
    const { message } = await response.json().catch(() => ({}))
    return { failure: message ?? `The gateway answers with status ${response.status}.` }
  } catch {
    return { failure: 'The gateway cannot be reached.' }
  }
}
