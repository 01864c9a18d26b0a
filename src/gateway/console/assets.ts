import { dependencyUrl, packageUrl } from '../../core/package-url.ts'
import type { Files } from '../../http/response/file-routes.ts'

/** Modules that the page needs whatever it shows, in `assets/`. */
export const SHELL_MODULES = [
  'console.js',
  'credentials.js',
  'dom.js',
  'format.js',
  'gateway-status.js',
  'router.js',
  'shell.js',
  'views.js',
]

/** Modules of one view each, in `assets/`: they are loaded with the view. */
const VIEW_MODULES = [
  'gateway/charts.js',
  'gateway/view.js',
  'produce/fields.js',
  'produce/record-form.js',
  'produce/view.js',
  'records/bytes.js',
  'records/curl.js',
  'records/detail.js',
  'records/json-tree.js',
  'records/list.js',
  'records/live-buffer.js',
  'records/layout.js',
  'records/live.js',
  'records/live-session.js',
  'records/opened-record.js',
  'records/page-session.js',
  'records/pages.js',
  'records/progress.js',
  'records/query.js',
  'records/record.js',
  'records/shared-stream.js',
  'records/sources.js',
  'records/toolbar.js',
  'records/view.js',
  'topics/group-panel.js',
  'topics/list.js',
  'topics/sizes.js',
  'topics/sorting.js',
  'topics/topic-data.js',
  'topics/topic.js',
  'topics/view.js',
]

const OWN_MODULES = [...SHELL_MODULES, ...VIEW_MODULES]

/** Modules of lit-html, by the paths under which they import each other. */
const LIT_MODULES = {
  'lit/lit-html.js': [() => dependencyUrl('lit-html')],
  'lit/directive.js': [() => dependencyUrl('lit-html/directive.js')],
  'lit/directive-helpers.js': [() => dependencyUrl('lit-html/directive-helpers.js')],
  'lit/directives/repeat.js': [() => dependencyUrl('lit-html/directives/repeat.js')],
} satisfies Files

/** The specifiers by which modules of the page import lit-html. */
const PACKAGES = {
  'lit-html': 'lit/lit-html.js',
  'lit-html/directives/repeat.js': 'lit/directives/repeat.js',
} satisfies Record<string, keyof typeof LIT_MODULES>

/** Style sheets of the frame and of the views, in `assets/`. */
export const STYLES = [
  'console.css',
  'gateway/gateway.css',
  'produce/produce.css',
  'records/records.css',
  'topics/topics.css',
]

const OTHER_FILES = ['theme.js', 'icon.svg']

/** The files that the page loads: it loads nothing from other servers. */
export const FILES: Files = {
  ...Object.fromEntries(
    [...OWN_MODULES, ...STYLES, ...OTHER_FILES].map((name) => {
      return [name, [() => packageUrl(`src/gateway/console/assets/${name}`)]]
    }),
  ),
  ...LIT_MODULES,
  'uplot.js': [() => dependencyUrl('uplot/dist/uPlot.iife.min.js')],
  'uplot.css': [() => dependencyUrl('uplot/dist/uPlot.min.css')],
}

/**
 * The page's import map: the modules of packages by their specifiers. An import in a file has no query,
 * so the map also adds the one that the page was opened with.
 *
 * @param files Where the page's files are, relative to the page.
 * @param credentials A query, or empty.
 */
export function importMap(files: string, credentials: string): string {
  const address = (name: string) => `./${files}/${name}`
  const modules = credentials ? [...OWN_MODULES, ...Object.keys(LIT_MODULES)] : []
  return JSON.stringify({
    imports: Object.fromEntries([
      ...Object.entries(PACKAGES).map(([specifier, name]) => [
        specifier,
        address(name) + credentials,
      ]),
      ...modules.map((name) => [address(name), address(name) + credentials]),
    ]),
  })
}
