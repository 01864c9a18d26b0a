import type { Hono } from 'hono'
import { type Files, fileRoutes } from '../../http/response/file-routes.ts'

const own = (name: string) => new URL(`./assets/${name}`, import.meta.url)

/** The files that the page loads: it loads nothing from other servers. */
const FILES = {
  'console.css': [() => own('console.css')],
  'console.js': [() => own('console.js')],
  'charts.js': [() => own('charts.js')],
  'credentials.js': [() => own('credentials.js')],
  'dom.js': [() => own('dom.js')],
  'format.js': [() => own('format.js')],
  'overview.js': [() => own('overview.js')],
  'record.js': [() => own('record.js')],
  'shared-stream.js': [() => own('shared-stream.js')],
  'tail.js': [() => own('tail.js')],
  'theme.js': [() => own('theme.js')],
  'icon.svg': [() => own('icon.svg')],
  'uplot.js': [() => import.meta.resolve('uplot/dist/uPlot.iife.min.js')],
  'uplot.css': [() => import.meta.resolve('uplot/dist/uPlot.min.css')],
} satisfies Files

/** The files that others of them import. */
export const MODULES = [
  'charts.js',
  'credentials.js',
  'dom.js',
  'format.js',
  'overview.js',
  'record.js',
  'shared-stream.js',
  'tail.js',
] satisfies Array<keyof typeof FILES>

/** The files of the console page. */
export function assetRoutes(): Hono {
  return fileRoutes(FILES)
}
