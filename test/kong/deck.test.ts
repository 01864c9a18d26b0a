/** decK as a client: its requests, replayed from a recording, and the program itself where it is found. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Hono } from 'hono'
import { createAdmin } from '../../src/kong/admin/admin.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { EMPTY, Store } from '../../src/kong/config/store.ts'
import { writeDeclarative } from '../../src/kong/config/write-declarative.ts'
import type { GatewayProcess } from '../gateway/gateway-process.ts'
import {
  COMMANDS,
  Deck,
  type DeckRequest,
  deckProgram,
  emptyGateway,
  plain,
  type RecordedCommand,
  referring,
  secrets,
} from './deck.ts'
import recording from './deck-requests.json' with { type: 'json' }

const recorded = recording as readonly RecordedCommand[]

describe('the requests of decK', () => {
  const store = new Store()
  const admin: Hono = createAdmin({
    ...{ store, version: '1', status: () => ({}) },
    load: (text) => readDeclarative(text, { environment: secrets, ignoreUnknown: false }),
    dump: writeDeclarative,
  })

  async function send({ method, path, body }: Omit<DeckRequest, 'status'>) {
    const response = await admin.request(path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  test('are those of all its commands', () => {
    expect(recorded.map(({ command }) => command)).toEqual(COMMANDS)
    for (const { requests } of recorded) expect(requests).not.toBeEmpty()
  })

  // The commands stand on each other: a dump reads what a sync has made.
  for (const [index, { command, requests }] of recorded.entries()) {
    test(`${index + 1}: ${command} gets the answers that it got before`, async () => {
      for (const request of requests) {
        const { method, path, status } = request
        expect({ method, path, status: (await send(request)).status }).toEqual({
          ...{ method, path, status },
        })
      }
      if (command.startsWith('sync')) await expectConverged(recorded[3]?.requests ?? [])
      if (command.startsWith('reset')) expect(store.snapshot()).toEqual(EMPTY)
    })
  }

  /**
   * decK completes each entity of its file by the defaults of the schemas, and takes it for changed
   * when the result differs from the answer.
   */
  async function expectConverged(written: readonly DeckRequest[]): Promise<void> {
    const puts = written.filter(({ method }) => method === 'PUT')
    expect(puts).toHaveLength(17)
    for (const { path, body } of puts) {
      const shown = (await send({ method: 'GET', path })).body
      const given = body as { readonly name?: string }
      const { created_at: _, ...expected } = await completed(path, given)
      const { created_at, updated_at, ...found } = shown
      expect({ path, ...found }).toMatchObject({ path, ...byId(expected) })
    }
  }

  async function completed(path: string, given: { readonly name?: string }) {
    const kind = path.split('/')[1] ?? ''
    const schema = kind === 'plugins' ? `/schemas/plugins/${given.name}` : `/schemas/${kind}`
    const { body } = await send({ method: 'GET', path: schema })
    // Credentials have no defaults.
    if (path.split('/').length > 3) return given as Record<string, unknown>
    return withDefaults(body.fields, given) as Record<string, unknown>
  }
})

/** An entity whose references have ids only: decK gives names beside them. */
function byId(entity: Readonly<Record<string, unknown>>): object {
  const references = ['consumer', 'route', 'service'].flatMap((name) => {
    const reference = entity[name] as { readonly id: string } | null | undefined
    return reference ? [[name, { id: reference.id }]] : []
  })
  return { ...entity, ...Object.fromEntries(references) }
}

interface Field {
  readonly type: string
  readonly required?: boolean
  readonly default?: unknown
  readonly auto?: boolean
  readonly fields?: ReadonlyArray<Record<string, Field>>
  readonly elements?: Field
}

function withDefaults(fields: ReadonlyArray<Record<string, Field>>, given: object): object {
  const values = given as Record<string, unknown>
  const filled = fields
    .flatMap((each) => Object.entries(each))
    .filter(([name, field]) => !(name in values) && !field.auto && field.type !== 'foreign')
    .filter(([name]) => !['id', 'created_at', 'updated_at', 'tags'].includes(name))
    .map(([name, field]) => [name, fieldValue(field, undefined)])
  const own = Object.entries(values).map(([name, value]) => {
    const field = fields.find((each) => name in each)?.[name]
    return [name, field ? fieldValue(field, value) : value]
  })
  return Object.fromEntries([...own, ...filled])
}

function fieldValue(field: Field, value: unknown): unknown {
  const { fields, elements } = field
  if (fields && (field.required || value)) return withDefaults(fields, (value ?? {}) as object)
  if (elements?.fields && Array.isArray(value)) {
    return value.map((each) => withDefaults(elements.fields ?? [], each))
  }
  return value ?? field.default ?? null
}

const program = deckProgram()
const UNCHANGED = /Created: 0\s+Updated: 0\s+Deleted: 0/
const TOKEN = 'token-of-the-admins'
/** decK starts a program of some 100 MB for each command. */
const TIMEOUT_MS = 120_000

describe.skipIf(program === undefined)(
  program === undefined
    ? 'the program decK (skipped: DECK is not set, and no deck is on the PATH)'
    : 'the program decK',
  () => {
    let gateway: GatewayProcess

    beforeAll(async () => {
      gateway = await emptyGateway()
    })
    afterAll(() => gateway?.[Symbol.asyncDispose]())

    test(
      'pings, validates, syncs a file with references, finds no difference, dumps and resets',
      async () => {
        await using deck = await Deck.open(program ?? '', gateway.adminUrl, referring)
        const run = async (command: string) => {
          const { code, output } = await deck.run(command)
          expect({ command, code, output }).toEqual({ command, code: 0, output })
          return output
        }
        expect(await run('ping')).toContain('Kong version:  3.15')
        expect(await run('ping --workspace default')).toContain('Kong version:  3.15')
        await run('validate kong.yaml')
        expect(await run('diff kong.yaml')).toContain('Created: 17')
        expect(await run('sync kong.yaml')).toContain('Created: 17')
        for (const command of ['diff kong.yaml', 'sync kong.yaml', 'diff kong.yaml']) {
          expect(await run(command)).toMatch(UNCHANGED)
        }
        expect(await run('diff kong.yaml --workspace default')).toMatch(UNCHANGED)
        const dump = await run('dump -o - --with-id')
        expect(dump).toContain('name: in-service')
        for (const secret of Object.values(secrets)) expect(dump).not.toContain(secret)
        expect(await run('reset -f')).toContain('Deleted: 17')
        expect((await run('dump -o -')).trim()).toBe('_format_version: "3.0"')
      },
      TIMEOUT_MS,
    )

    test(
      'finds no difference in a file with secrets, which other clients never see',
      async () => {
        await using deck = await Deck.open(program ?? '', gateway.adminUrl, plain)
        const run = async (command: string) => {
          const { code, output } = await deck.run(command)
          expect({ command, code, output }).toEqual({ command, code: 0, output })
          return output
        }
        expect(await run('sync kong.yaml')).toContain('Created: 17')
        for (const command of ['diff kong.yaml', 'sync kong.yaml', 'diff kong.yaml']) {
          expect(await run(command)).toMatch(UNCHANGED)
        }
        expect(await run('diff kong.yaml --workspace default')).toMatch(UNCHANGED)
        // A dump can be synced again, as with Kong.
        await run('dump -o dumped.yaml --with-id')
        expect(await run('diff dumped.yaml')).toMatch(UNCHANGED)
        const keys = await (await fetch(`${gateway.adminUrl}/key-auths`)).text()
        expect((JSON.parse(keys) as { data: unknown[] }).data).toHaveLength(2)
        for (const path of ['/key-auths', '/jwts', '/plugins', '/config']) {
          const shown = await (await fetch(gateway.adminUrl + path)).text()
          for (const secret of Object.values(secrets)) {
            if (secret !== secrets['DECK_USER']) expect(shown).not.toContain(secret)
          }
        }
        expect(await run('reset -f')).toContain('Deleted: 17')
      },
      TIMEOUT_MS,
    )

    test(
      'finds no difference in a file with secrets, with a token that shows them',
      async () => {
        await using guarded = await emptyGateway({ ADMIN_TOKEN: TOKEN })
        const header = `Kong-Admin-Token:${TOKEN}`
        await using deck = await Deck.open(program ?? '', guarded.adminUrl, plain, [header])
        expect((await deck.run('sync kong.yaml')).output).toContain('Created: 17')
        for (const command of ['diff kong.yaml', 'sync kong.yaml']) {
          const { code, output } = await deck.run(command)
          expect({ command, code }).toEqual({ command, code: 0 })
          expect(output).toMatch(UNCHANGED)
        }
        await using stranger = await Deck.open(program ?? '', guarded.adminUrl, plain)
        expect((await stranger.run('ping')).output).toContain('HTTP status 401')
      },
      TIMEOUT_MS,
    )
  },
)
