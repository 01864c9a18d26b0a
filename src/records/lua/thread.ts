/** The thread that runs Lua functions, so that they cannot block the rest of the process. */
// biome-ignore lint/style/noRestrictedImports: threads are the runtime's own
import { parentPort, workerData } from 'node:worker_threads'
import { type LuaEngine, LuaFactory, LuaLibraries } from 'wasmoon'
import { SANDBOX } from './sandbox.ts'

/** The data that a thread is started with. */
export interface LuaThreadData {
  readonly purpose: LuaPurpose
  readonly functions: readonly string[]
}

/**
 * The use of functions: for records on their way to clients, messages of requests, or fields of a log's
 * entry, which are chunks that return a value.
 */
export type LuaPurpose = 'records' | 'requests' | 'fields'

/** The sandbox's functions by purpose: the one that takes a function's text, and the one that calls all. */
const ENTRIES = {
  records: { setup: 'setup', run: 'run' },
  requests: { setup: 'setup', run: 'run_request' },
  fields: { setup: 'setup_chunk', run: 'run_fields' },
} as const

/** The messages of a thread: first whether it is ready, then the result of each message in turn. */
export type LuaThreadAnswer =
  | { readonly status: 'ready' }
  | { readonly status: 'broken'; readonly error: string }
  | { readonly status: 'dropped' }
  /** `exceeded`: a limit was exceeded, so that the Lua state must not be used any more. */
  | { readonly status: 'failed' | 'exceeded'; readonly error: string }
  /** The results of the sandbox's function that calls all. */
  | { readonly status: 'done'; readonly results: ReadonlyArray<string | null> }

/** The most bytes that the Lua state may hold. */
const MAX_MEMORY = 64 * 1024 * 1024

const { purpose, functions } = workerData as LuaThreadData
const entry = ENTRIES[purpose]
const state = await start(functions, entry.setup)
if (typeof state === 'string') parentPort?.postMessage({ status: 'broken', error: state })
else {
  parentPort?.on('message', (texts: readonly string[]) => {
    parentPort?.postMessage(run(state, entry.run, texts))
  })
  parentPort?.postMessage({ status: 'ready' })
}

/** A state with its functions, or what is wrong with one of them. */
async function start(functions: readonly string[], setup: string): Promise<LuaEngine | string> {
  // By default, some runtimes look for the file beside the program of the thread.
  const wasm = new URL('glue.wasm', import.meta.resolve('wasmoon'))
  const engine = await new LuaFactory(wasm.href).createEngine({
    openStandardLibs: false,
    injectObjects: false,
    enableProxy: false,
    traceAllocations: true,
  })
  engine.global.setMemoryMax(MAX_MEMORY)
  for (const library of [
    LuaLibraries.Base,
    LuaLibraries.Table,
    LuaLibraries.String,
    LuaLibraries.Math,
  ]) {
    engine.global.loadLibrary(library)
  }
  // `loadLibrary` of wasmoon 1.16 loads the library of strings in place of `utf8`.
  const { lua, address } = engine.global
  lua.luaopen_utf8(address)
  lua.lua_setglobal(address, LuaLibraries.UTF8)
  engine.doStringSync(SANDBOX)
  for (const [index, text] of functions.entries()) {
    const [error] = call(engine, setup, `function ${index + 1}`, text)
    if (error !== undefined && error !== null) return String(error)
  }
  return engine
}

function run(engine: LuaEngine, name: string, texts: readonly string[]): LuaThreadAnswer {
  try {
    const [status, ...results] = call(engine, name, ...texts)
    if (status === 'dropped') return { status }
    if (status === 'done') return { status, results: results as Array<string | null> }
    return { status: status as 'failed' | 'exceeded', error: String(results[0]) }
  } catch (error) {
    // Lua itself has no memory left to say so.
    return { status: 'exceeded', error: error instanceof Error ? error.message : String(error) }
  }
}

/** Calls a function of the sandbox; its results are texts or nil. */
function call({ global }: LuaEngine, name: string, ...texts: string[]): readonly unknown[] {
  const { lua, address } = global
  global.setTop(0)
  lua.lua_getglobal(address, name)
  for (const text of texts) global.pushValue(text)
  return [...global.runSync(texts.length)]
}
