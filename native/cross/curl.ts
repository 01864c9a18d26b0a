/** Which files and definitions make curl's library: its crate says so in code of Rust, from which they are read. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Sizes that configure would find out. All platforms have 64 bits. */
const SIZES = ['SIZEOF_SSIZE_T', 'SIZEOF_SIZE_T', 'SIZEOF_LONG', 'SIZEOF_TIME_T']

/** Source files, relative to the crate, and a header with the definitions. */
export interface CurlBuild {
  readonly files: readonly string[]
  readonly header: string
}

/** @param crate The folder of curl-sys. */
export function curlBuildOf(crate: string, os: 'linux' | 'darwin'): CurlBuild {
  const script = readFileSync(join(crate, 'build.rs'), 'utf8')
  const base = between(script, 'let mut cfg = cc::Build::new();', 'if cfg!(feature = "ntlm")')
  const unix = between(script, 'cfg.define("RECV_TYPE_ARG1"', 'if cfg!(feature = "spnego")')
  const [before, apple, others] = splitApple(unix)
  const files = [...base.matchAll(/\.file\("([^"]+)"\)/g)].map(([, file = '']) => file)
  const definitions = new Map<string, string>()
  for (const text of [base, before, os === 'darwin' ? apple : others]) {
    for (const [, name = '', value = ''] of text.matchAll(DEFINITION)) {
      definitions.set(name, value === 'None' ? '1' : (JSON.parse(value) as string))
    }
  }
  for (const name of ['USE_OPENSSL', 'CURL_DISABLE_NTLM', 'CURL_DISABLE_FTP']) {
    definitions.set(name, '1')
  }
  for (const name of SIZES) definitions.set(name, '8')
  const lines = [...definitions].map(
    ([name, value]) => `#ifndef ${name}\n#define ${name} ${value}\n#endif\n`,
  )
  const own = files.filter((file) => os !== 'darwin' || file !== 'curl/lib/macos.c')
  return { files: [...own, 'curl/lib/vtls/openssl.c'], header: lines.join('') }
}

const DEFINITION = /\.define\("((?!__APPLE__)[^"]+)",\s*(None|"(?:[^"\\]|\\.)*")\)/g

function splitApple(text: string): [string, string, string] {
  const at = text.indexOf('if target.contains("-apple-")')
  const other = text.indexOf('} else {', at)
  if (at < 0 || other < 0) throw unknownForm()
  return [text.slice(0, at), text.slice(at, other), text.slice(other)]
}

function between(text: string, from: string, to: string): string {
  const start = text.indexOf(from)
  const end = text.indexOf(to, start)
  if (start < 0 || end < 0) throw unknownForm()
  return text.slice(start, end)
}

function unknownForm(): Error {
  return new Error('Cannot compile curl: the build script of curl-sys has another form')
}
