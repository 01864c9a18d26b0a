/** Kong's configuration of a gateway process: read from files, changed by the Admin API. */
import { readFileSync } from 'node:fs'
import { logOf } from '../../core/log.ts'
import { readDeclarative } from '../../kong/config/declarative.ts'
import { InvalidDeclarative } from '../../kong/config/invalid-declarative.ts'
import { openState } from '../../kong/config/persisted-state.ts'
import { shownVariables } from '../../kong/config/plugin-options.ts'
import { Store } from '../../kong/config/store.ts'
import type { KongSnapshot } from '../../kong/model/entities.ts'
import type { MayShow } from '../../kong/model/references.ts'
import { SchemaViolation } from '../../kong/model/schema-violation.ts'
import type { Gateway } from '../app.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { stateFile } from './state-file.ts'

const log = logOf('server')

/** A part of the gateway that follows the entities. */
export interface ConfiguredPart extends Partial<Pick<Gateway, 'applyInTurns'>> {
  /** @throws SchemaViolation, and nothing changes. */
  apply(snapshot: KongSnapshot): Promise<void> | void
}

/** Kong's entities, and where they are read from and saved to. */
export interface Configuration {
  readonly store: Store
  /** Allows the variables that `--config` has read into fields which `/status` and logs show. */
  readonly mayShow: MayShow
  /** The variables that {@link mayShow} allows. */
  readonly shown: ReadonlySet<string>
  /**
   * Reads the file of `--config` again.
   *
   * @throws Error that names the file, and nothing changes.
   */
  reload(path: string): Promise<void>
  /**
   * Makes parts of the gateway follow the entities, now and after each change, and saves each change.
   *
   * @throws SchemaViolation when a part refuses the entities.
   */
  serveBy(...parts: readonly ConfiguredPart[]): Promise<void>
}

/**
 * Reads the files of `--config` and `--state`, where they are set.
 *
 * @throws Error that names the file.
 */
export async function openConfiguration(config: GatewayConfig): Promise<Configuration> {
  const store = new Store()
  const shown = new Set<string>()
  const reload = async (path: string) => {
    const declared = await readDeclarativeFile(path, config.ignoreUnknown)
    for (const variable of shownVariables(declared)) shown.add(variable)
    await inFile(path, () => store.replaceAll(declared))
  }
  if (config.config !== undefined) await reload(config.config)
  const state = config.state === undefined ? undefined : openState(stateFile(config.state))
  if (state?.snapshot) await store.replaceAll(state.snapshot)
  return {
    store,
    mayShow: (variable) => shown.has(variable),
    shown,
    reload,
    async serveBy(...parts) {
      for (const part of parts) {
        await inFile(config.config ?? config.state ?? '', () => part.apply(store.snapshot()))
        store.onChange((snapshot) =>
          part.applyInTurns ? part.applyInTurns(snapshot) : void part.apply(snapshot),
        )
      }
      // Saving comes second: a snapshot that a part refuses must not be saved.
      if (state) store.onChange((snapshot) => state.save(snapshot))
    },
  }
}

/** @throws Error that names the file, where entities are refused that are right each on its own. */
async function inFile(path: string, apply: () => Promise<void> | void): Promise<void> {
  try {
    await apply()
  } catch (error) {
    if (!(error instanceof SchemaViolation)) throw error
    throw new Error(`Cannot use ${path}: ${error.message}`, { cause: error })
  }
}

/** @throws Error that names the file. */
async function readDeclarativeFile(path: string, ignoreUnknown: boolean): Promise<KongSnapshot> {
  const text = readTextFile(path)
  try {
    const declared = await readDeclarative(text, {
      format: path.endsWith('.json') ? 'json' : 'yaml',
      environment: process.env,
      ignoreUnknown,
    })
    for (const warning of declared.warnings) log.warn('{path}: {warning}', { path, warning })
    return declared
  } catch (error) {
    if (!(error instanceof InvalidDeclarative)) throw error
    throw new Error(`Cannot use ${path}: ${error.message}`, { cause: error })
  }
}

function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}
