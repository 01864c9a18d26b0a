/**
 * A cache of compiled addons, so that another checkout or a fresh node_modules need not compile again.
 * The name of an entry is a hash of everything that goes into the addon.
 */
import { Database } from 'bun:sqlite'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { tryLock } from './lock.ts'
import { say } from './progress.ts'

export function cacheFolder(): string {
  const { HONO_KAFKA_CONSUME_CACHE: own, XDG_CACHE_HOME: caches } = process.env
  if (own) return resolve(own)
  return join(caches || join(homedir(), '.cache'), 'hono-kafka-consume')
}

/** The addon stored under this key; undefined if there is none or if it is damaged. */
export function cachedAddon(key: string): Uint8Array | undefined {
  const addon = join(cacheFolder(), `${key}.node`)
  const checksum = `${addon}.sha256`
  if (!existsSync(addon) || !existsSync(checksum)) return undefined
  const content = readFileSync(addon)
  return sha256(content) === readFileSync(checksum, 'utf8').trim() ? content : undefined
}

export function storeAddon(key: string, content: Uint8Array): void {
  const addon = join(cacheFolder(), `${key}.node`)
  writeWhole(`${addon}.sha256`, `${sha256(content)}\n`)
  writeWhole(addon, content)
}

export function dropAddon(key: string): void {
  rmSync(join(cacheFolder(), `${key}.node`), { force: true })
}

/** Writes a file atomically: other processes see the old content or the new one, never a part. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const passing = `${path}.${process.pid}`
  writeFileSync(passing, content)
  renameSync(passing, path)
}

/** Lets one set-up work at a time. */
export async function withLock<T>(work: () => Promise<T>): Promise<T> {
  const database = inCache((folder) => {
    mkdirSync(folder, { recursive: true })
    return new Database(join(folder, 'lock.sqlite'))
  })
  try {
    for (let tries = 0; !inCache(() => tryLock(database)); tries++) {
      if (tries === 0) say('Waiting for another set-up to finish …')
      await Bun.sleep(200)
    }
    return await work()
  } finally {
    database.close()
  }
}

/** @throws Error that names the cache and how to choose another folder. */
function inCache<T>(work: (folder: string) => T): T {
  const folder = cacheFolder()
  try {
    return work(folder)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `Cannot write to the cache ${folder}: ${reason}. Make it writable, or name another folder by the variable HONO_KAFKA_CONSUME_CACHE`,
      { cause },
    )
  }
}

function sha256(content: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(content).digest('hex')
}
