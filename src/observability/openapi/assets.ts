/** The files that the page of the API's description loads. */
import { dependencyUrl, packageUrl } from '../../core/package-url.ts'
import type { Files } from '../../http/response/file-routes.ts'

const own = (name: string) => packageUrl(`src/observability/openapi/assets/${name}`)
export const FILES: Files = {
  'docs.js': [() => own('docs.js')],
  'scalar.js': [
    // The published package brings a copy. In a checkout it is in a package of Scalar's, the only one
    // that has it as a file without the 268 packages that it is made of.
    () => own('scalar.js'),
    () => new URL('js/standalone.js', dependencyUrl('@scalar/fastify-api-reference')),
  ],
}
