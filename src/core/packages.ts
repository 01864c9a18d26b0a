/**
 * Packages that functions which return at once load at their first use: an app that does not use them
 * starts without them. Functions that may wait use `import()`, and handlers `onUse`.
 */

/** A module of Node's, as Bun, Deno and Node bring it; undefined on other runtimes. */
export function builtinModule(name: string): unknown {
  return (globalThis as Builtins).process?.getBuiltinModule?.(name)
}

interface Builtins {
  readonly process?: { getBuiltinModule?(name: string): unknown }
}

/**
 * Loads a package. Bundlers find one only by a call of `require` with its name, hence one function for
 * each. The caller knows the package's type: Deno would take that of another copy here, for `require`.
 */
export const packages: Readonly<
  Record<'cel' | 're2' | 'lua' | 'sha2' | 'logtape' | 'levenshtein', () => unknown>
> = {
  /** Evaluates filters. */
  cel: () => (hasRequire() ? require('@marcbachmann/cel-js') : requireOf('@marcbachmann/cel-js')),
  /** Regular expressions of filters. */
  re2: () => (hasRequire() ? require('re2js') : requireOf('re2js')),
  /** The syntax of Lua functions. */
  lua: () => (hasRequire() ? require('luaparse') : requireOf('luaparse')),
  /** The hashes of pages' versions, of names that threads share, and of clients' keys. */
  sha2: () =>
    hasRequire() ? require('@noble/hashes/sha2.js') : requireOf('@noble/hashes/sha2.js'),
  /** The distance between a mistyped name and a known one. */
  levenshtein: () =>
    hasRequire() ? require('fastest-levenshtein') : requireOf('fastest-levenshtein'),
  /** Routes and prints the lines of the log. */
  logtape: () => (hasRequire() ? require('@logtape/logtape') : requireOf('@logtape/logtape')),
}

/** Whether this module has a `require`, as on Bun and in bundles. */
function hasRequire(): boolean {
  return typeof require === 'function'
}

/** Loads a package on Deno and Node, where a module has no `require`. */
function requireOf(name: string): unknown {
  return requireFrom(import.meta.url)(name)
}

/** A `require` as a module at a URL, or at a path, would have it. */
export function requireFrom(from: string): RequireFunction {
  const { createRequire } = builtinModule('node:module') as {
    createRequire(from: string): RequireFunction
  }
  return createRequire(from)
}

interface RequireFunction {
  (name: string): unknown
  /** The path of the file that would be loaded. */
  resolve(name: string): string
}
