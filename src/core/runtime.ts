/**
 * Throws while it is loaded where the runtime lacks a function that other modules need: on a runtime
 * that is too old a program ends at once with the reason, rather than answer each request with an error.
 */
const scope = globalThis as { readonly Deno?: object; readonly process?: RuntimeProcess }

const NEEDED: Readonly<Record<string, unknown>> = {
  'Promise.withResolvers': Promise.withResolvers,
  'URL.parse': URL.parse,
  'JSON.rawJSON': (JSON as { rawJSON?: unknown }).rawJSON,
  'require() of modules': canRequireModules() || undefined,
}

/** Deno makes `process` when it is first read, which takes 30 ms: it has had the two together, since Deno 2. */
function canRequireModules(): boolean {
  return scope.Deno ? 'process' in scope : scope.process?.features?.require_module === true
}

interface RuntimeProcess {
  readonly versions: { readonly bun?: string; readonly deno?: string; readonly node?: string }
  readonly features?: { readonly require_module?: boolean }
}

const missing = Object.keys(NEEDED).filter((name) => NEEDED[name] === undefined)
if (missing.length > 0) {
  const { bun, deno, node } = scope.process?.versions ?? {}
  const [name, version] = (bun && ['Bun', bun]) ||
    (deno && ['Deno', deno]) ||
    (node && ['Node', node.split('.')[0]]) || ['this runtime', '']
  throw new Error(
    `Cannot run on ${name} ${version}: it has no ${missing.join(', ')}; Node 22.12 or newer, Bun or Deno 2 is required`,
  )
}
