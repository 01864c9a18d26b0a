/** The peers of `rest`, which are built outside the project: the folder BENCH_PEERS names them. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as v from 'valibot'

/** The servers that are measured, by their names in `peers.json`. */
export const REST_PEERS = {
  strimzi: "Strimzi's bridge",
  karapace: 'Karapace',
  'redpanda-connect': 'Redpanda Connect',
} as const
export type RestPeerName = keyof typeof REST_PEERS

/** How a peer is started. */
export interface RestPeer {
  readonly name: RestPeerName
  readonly folder: string
  readonly command: readonly string[]
}

const program = v.optional(v.strictObject({ command: v.pipe(v.array(v.string()), v.minLength(1)) }))
const manifest = v.strictObject({
  strimzi: program,
  karapace: program,
  'redpanda-connect': program,
} satisfies Record<RestPeerName, typeof program>)

/** @throws Error when the folder is there and its `peers.json` is not valid. */
export function findRestPeers(): { found: RestPeer[]; missing: RestPeerName[] } {
  const names = Object.keys(REST_PEERS) as RestPeerName[]
  const folder = process.env['BENCH_PEERS']
  if (!folder) return { found: [], missing: names }
  const path = join(resolve(folder), 'peers.json')
  if (!existsSync(path)) throw new Error(`Cannot measure peers: BENCH_PEERS has no file ${path}`)
  const parsed = v.safeParse(manifest, JSON.parse(readFileSync(path, 'utf8')))
  if (!parsed.success) {
    throw new Error(
      `Cannot measure peers: ${path}: ${v.flatten(parsed.issues).root ?? JSON.stringify(v.flatten(parsed.issues).nested)}`,
    )
  }
  const found = names.flatMap((name): RestPeer[] => {
    const { command } = parsed.output[name] ?? {}
    return command ? [{ name, folder: resolve(folder), command }] : []
  })
  const missing = names.filter((name) => !found.some((peer) => peer.name === name))
  return { found, missing }
}
