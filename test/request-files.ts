/**
 * `bun test/request-files.ts` prints the files that a `GET /messages` passes, from Bun's server to
 * Kafka's client and back. Each function of src/ and kafka/ reports its file when it is called.
 *
 * The request is a plain one, as curl sends it: as the consumer group, without `Accept-Encoding`, to a
 * gateway without routes of Kong. It is not the first one, so that connections and memberships exist,
 * and a file counts that is called for each of three requests, so that what runs by chance does not.
 * The group's loop reads ahead, before the request comes and after it: the files of that loop count,
 * since the records pass them, and have a star. The gateway is not started: its route joins
 * the group with the first request, and nothing runs that only serves other requests, such as the
 * live consumer of `/stream`. The broker in this process is not listed.
 */
import { get } from 'node:http'
import { dirname, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { plugin } from 'bun'
import { npmTool } from './support/npm-tool.ts'

/** A node of TypeScript's syntax tree. */
interface SyntaxNode {
  readonly body?: SyntaxNode
  getStart(): number
  getEnd(): number
}

/** The part of TypeScript's API that is used here: the project's own version of TypeScript has none. */
interface TypeScript {
  readonly ScriptTarget: { readonly ESNext: number }
  createSourceFile(name: string, text: string, target: number, setParents: boolean): SyntaxNode
  forEachChild(node: SyntaxNode, visit: (node: SyntaxNode) => void): void
  isFunctionLike(node: SyntaxNode): boolean
  isConstructorDeclaration(node: SyntaxNode): boolean
  isBlock(node: SyntaxNode): boolean
}

const root = dirname(import.meta.dirname)
const INTERVAL_MS = 300

const called = new Set<string>()
Object.assign(globalThis, { reportCall: (file: string) => called.add(file) })

await instrumentSources()
const { loadKafkaSide } = await import('../src/http/route/load-kafka.ts')
const { createGateway } = await import('../src/gateway/app.ts')
const { listen } = await import('../src/gateway/process/listen.ts')
const { logToConsole } = await import('../src/core/log.ts')
logToConsole('info')

const kafka = await loadKafkaSide()
const broker = await kafka.startEmbeddedBroker({ topic: 'demo', records: 100, recordsPerSecond: 0 })
const cluster = { brokers: [...broker.bootstrapServers], topics: ['demo'] }
const gateway = createGateway({ cluster })
const flags = { port: '--port', host: '--host' }
const server = listen({ port: 0, host: '127.0.0.1' }, flags, gateway.app)

const getMessages = () =>
  new Promise<void>((resolve, reject) => {
    const path = '/messages?max_records=2&timeout=5000'
    get(new URL(path, server.url), (response) => void text(response).then(() => resolve(), reject))
  })
await getMessages()
await Bun.sleep(INTERVAL_MS)
const idle = await collectCalls(() => Promise.resolve())
let busy = await collectCalls(getMessages)
for (let again = 0; again < 2; again++) busy = busy.intersection(await collectCalls(getMessages))
for (const file of [...busy].sort()) console.log(`${idle.has(file) ? '*' : ' '} ${file}`)
console.log(`${busy.size} files, ${[...busy].filter((file) => idle.has(file)).length} with a star`)
process.exit(0)

/** The files of the functions that are called while `work` runs, and shortly after for the commit. */
async function collectCalls(work: () => Promise<void>): Promise<Set<string>> {
  called.clear()
  await work()
  await Bun.sleep(INTERVAL_MS)
  return new Set(called)
}

/** Makes each function of src/ and kafka/ report its file. Constructors are left as they are. */
async function instrumentSources(): Promise<void> {
  const ts = ((await import(await npmTool('typescript'))) as { default: TypeScript }).default
  plugin({
    name: 'report calls',
    setup(build) {
      build.onLoad({ filter: /\/(?:src|kafka)\/.*\.tsx?$/ }, async ({ path }) => {
        const text = await Bun.file(path).text()
        const loader = path.endsWith('x') ? 'tsx' : 'ts'
        const file = relative(root, path)
        const isOurs = /^(?:src|kafka)\/(?!embedded\/)/.test(file)
        return { contents: isOurs ? withReports(ts, file, text) : text, loader }
      })
    },
  })
}

function withReports(ts: TypeScript, file: string, text: string): string {
  const call = `reportCall(${JSON.stringify(file)})`
  const insertions: Array<readonly [at: number, text: string]> = []
  const visit = (node: SyntaxNode): void => {
    ts.forEachChild(node, visit)
    if (!ts.isFunctionLike(node) || ts.isConstructorDeclaration(node)) return
    const { body } = node
    if (!body) return
    if (ts.isBlock(body)) insertions.push([body.getStart() + 1, `${call};`])
    else insertions.push([body.getStart(), `(${call}, `], [body.getEnd(), ')'])
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true))
  let result = text
  for (const [at, inserted] of insertions.sort(([a], [b]) => b - a)) {
    result = result.slice(0, at) + inserted + result.slice(at)
  }
  return result
}
