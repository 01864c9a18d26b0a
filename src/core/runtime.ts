/**
 * Throws while it is loaded where the runtime lacks a function that other modules need: on a runtime
 * that is too old a program ends at once with the reason, rather than answer each request with an error.
 */
const running = (globalThis as { readonly process?: RuntimeProcess }).process
const NEEDED: Readonly<Record<string, unknown>> = {
  'Promise.withResolvers': Promise.withResolvers,
  'URL.parse': URL.parse,
  'JSON.rawJSON': (JSON as { rawJSON?: unknown }).rawJSON,
  'require() of modules': running?.features?.require_module || undefined,
}

interface RuntimeProcess {
  readonly versions: { readonly bun?: string; readonly deno?: string; readonly node?: string }
  readonly features?: { readonly require_module?: boolean }
}

const missing = Object.keys(NEEDED).filter((name) => NEEDED[name] === undefined)
if (missing.length > 0) {
  const { bun, deno, node } = running?.versions ?? {}
  const [name, version] = (bun && ['Bun', bun]) ||
    (deno && ['Deno', deno]) ||
    (node && ['Node', node.split('.')[0]]) || ['this runtime', '']
  throw new Error(
    `Cannot run on ${name} ${version}: it has no ${missing.join(', ')}; Node 22.12 or newer, Bun or Deno 2 is required`,
  )
}
