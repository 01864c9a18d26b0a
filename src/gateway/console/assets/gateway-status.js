// @ts-check
/** The state of the gateway, by `/status`, for the shell and for all views. */
import { withCredentials } from './credentials.js'
import { every } from './dom.js'

/** @typedef {{ name: string, paths: string[], hosts: string[], mode: string, topics: string[], filters?: Record<string, string>, hasOwnFormat?: boolean, cluster?: string, streams?: number, groups: string[] }} StatusRoute */
/** @typedef {{ partition: number, start: number, end: number }} Partition */
/** @typedef {{ name: string, partitions: Partition[] }} Topic */
/** @typedef {{ code: string, message: string, since: string }} Outage */
/** @typedef {{ name: string, outage?: Outage, brokers: Array<{ name: string, up: boolean }>, topics: Topic[] }} Cluster */
/** @typedef {{ id: string, cluster: string, partitions: Array<{ topic: string, partition: number, lag?: number }> }} Group */
/** @typedef {{ version: string, routes: StatusRoute[], clusters: Cluster[], groups: Group[] }} Status */

const INTERVAL = 2_000

/** @type {Status | undefined} */
let status
/** Why the status is not known now; empty while the gateway cannot be reached. @type {string | undefined} */
let failure
/** @type {Set<() => void>} */
const listeners = new Set()

/** The last known status; undefined before the first. */
export function gatewayStatus() {
  return status
}

/** Why the last request failed: an answer's status, or empty without an answer. Undefined while requests succeed. */
export function statusFailure() {
  return failure
}

/**
 * Calls a function after each request of the status, also after one that failed.
 * @param {() => void} listener
 * @returns {() => void} Ends that.
 */
export function onStatus(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/**
 * The route that writes posted records; undefined where the gateway writes nothing.
 * @param {Status | undefined} found
 */
export function producerOf(found) {
  return found?.routes.find(({ mode, hosts }) => mode === 'produce' && hosts.length === 0)
}

/** Asks for the status again and again while the page is visible. */
export function pollStatus() {
  void every(INTERVAL, refreshStatus)
}

/** Asks for the status now, for a view that needs the present offsets. */
export async function refreshStatus() {
  const address = document.documentElement.dataset['status'] ?? '/status'
  try {
    const response = await fetch(withCredentials(address))
    failure = response.ok ? undefined : `status ${response.status}`
    if (response.ok) status = await response.json()
  } catch {
    failure = ''
  }
  for (const listener of [...listeners]) listener()
}
