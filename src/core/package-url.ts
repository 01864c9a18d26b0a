/**
 * Files of this package that programs load by their URL: the programs of threads, and the files of pages.
 * A bundler moves the modules, but not these. Where this module is part of a bundle, or of a program that
 * is compiled from one, they are those of the package that is installed in the folder of the bundle or
 * program, or in a folder above, as the Kafka client is.
 */
import { KafkaConsumeError } from './errors.ts'
import { requireFrom } from './packages.ts'

const NAME = 'hono-kafka-consume'

const [, extension] = /\/src\/core\/package-url\.(ts|js)$/.exec(import.meta.url) ?? []

/** The URL of a file of this package. @param path From the folder of the package. */
export function packageUrl(path: string): URL {
  return new URL(path, packageFolder())
}

/** The URL of a thread's program. @param path From the folder of the package, without an extension. */
export function threadProgram(path: string): URL {
  return packageUrl(`${path}.${extension ?? 'js'}`)
}

/** The URL of a file of a package on which this one depends. @param specifier As in an import. */
export function dependencyUrl(specifier: string): URL {
  const folder = packageFolder()
  return fileUrl(requireFrom(new URL('package.json', folder).href).resolve(specifier))
}

function packageFolder(): URL {
  if (extension !== undefined) return new URL('../../', import.meta.url)
  const { execPath } = (globalThis as { process?: { execPath: string } }).process ?? {}
  for (const from of [import.meta.url, execPath ?? '']) {
    try {
      return fileUrl(requireFrom(from).resolve(`${NAME}/package.json`))
    } catch {
      // A compiled program is in no folder by its modules, only by its executable.
    }
  }
  throw new KafkaConsumeError(
    'INTERNAL',
    `Cannot find files of ${NAME}: it is not installed in node_modules beside the bundle, or above`,
  )
}

function fileUrl(path: string): URL {
  const url = new URL('file:///')
  // As Node's pathToFileURL does: a path may hold these characters, where a URL ends by them.
  url.pathname = path.replaceAll('%', '%25').replaceAll('?', '%3F').replaceAll('#', '%23')
  return url
}
