import { beforeEach, describe, expect, test } from 'bun:test'
import type { Hono } from 'hono'
import { doAtOnce } from '../../src/core/sliced-work.ts'
import { createAdmin } from '../../src/kong/admin/admin.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { openState } from '../../src/kong/config/persisted-state.ts'
import { EMPTY, Store } from '../../src/kong/config/store.ts'
import { writeDeclarative } from '../../src/kong/config/write-declarative.ts'

const SECRET = 'planted-4f1c'

let store: Store
let admin: Hono

beforeEach(() => {
  store = new Store()
  const options = { environment: { KEY: SECRET }, ignoreUnknown: false }
  admin = createAdmin({
    store,
    version: '1',
    status: () => ({}),
    load: (text) => readDeclarative(text, options),
    dump: writeDeclarative,
  })
})

/** Every answer is searched for the secret, but those that may show one. */
async function send(method: string, path: string, body?: object, mayShow = false) {
  const response = await admin.request(path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  })
  const text = await response.text()
  if (!mayShow) expect(text).not.toContain(SECRET)
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

test('the ttl of a key counts from its last write, and changes of other fields do not extend it', async () => {
  await send('POST', '/consumers', { username: 'ann' })
  const made = await send('POST', '/consumers/ann/key-auth', { key: 'k', ttl: 60 }, true)
  expect(made).toMatchObject({ status: 201, body: { ttl: 60 } })
  const { id } = made.body
  const before = Math.floor(Date.now() / 1_000) - 50
  const aged = { ...store.get('keyauth_credentials', id), updated_at: before }
  await store.replaceAll({ ...store.snapshot(), keyauth_credentials: [aged as never] })
  const patch = async (fields: object) =>
    (await send('PATCH', `/key-auths/${id}`, fields, true)).body as Record<string, unknown>
  expect(await patch({ tags: ['a'] })).toMatchObject({ ttl: 60, updated_at: before })
  expect((await patch({ ttl: 60 }))['updated_at']).toBeGreaterThan(before)
  for (const ttl of [-1, 100_000_001]) {
    expect((await send('PATCH', `/key-auths/${id}`, { ttl })).body.fields).toEqual({
      ttl: 'value should be between 0 and 100000000',
    })
  }
})

describe.each([
  ['key-auth', 'keyauth_credentials', 'key', {}],
  ['basic-auth', 'basicauth_credentials', 'password', { username: 'ann' }],
  ['jwt', 'jwt_secrets', 'secret', { key: 'shop' }],
] as const)('credentials of %s', (path, kind, secret, rest) => {
  const credential = { ...rest, [secret]: SECRET }
  /** A credential as the store has it: a password is a hash, as in Kong. */
  const kept = (text: string) => {
    const consumer = store.get('consumers', 'ann')?.id ?? ''
    const hash = new Bun.CryptoHasher('sha1').update(text + consumer).digest('hex')
    return { ...rest, [secret]: kind === 'basicauth_credentials' ? hash : text }
  }

  test('are made under their consumer, listed, changed and removed', async () => {
    await send('POST', '/consumers', { username: 'ann' })
    const made = await send('POST', `/consumers/ann/${path}`, credential)
    const { id } = made.body
    // A key identifies its credential: equal masks would be equal keys.
    const mask = kind === 'keyauth_credentials' ? `***${id}` : '***'
    expect(made).toMatchObject({ status: 201, body: { ...rest, [secret]: mask } })
    expect(store.get(kind, id)).toMatchObject(kept(SECRET))
    for (const list of [`/consumers/ann/${path}`, `/${path}s`]) {
      expect((await send('GET', list)).body.data).toEqual([made.body])
    }
    const at = `/consumers/ann/${path}/${id}`
    expect((await send('GET', at)).body).toEqual(made.body)
    // A client may send an entity of an answer back.
    expect((await send('PATCH', at, { ...made.body, tags: ['t'] })).body.tags).toEqual(['t'])
    expect(store.get(kind, id)).toMatchObject({ ...kept(SECRET), tags: ['t'] })
    expect((await send('PUT', at, { ...credential, [secret]: 'other' })).status).toBe(200)
    expect(store.get(kind, id)).toMatchObject({ ...kept('other'), tags: null })
    expect((await send('GET', `/consumers/bob/${path}`)).status).toBe(404)
    expect((await send('DELETE', at)).status).toBe(204)
    expect(store.list(kind)).toEqual([])
  })

  test('are unique, and are removed with their consumer', async () => {
    await send('POST', '/consumers', { username: 'ann' })
    await send('POST', `/consumers/ann/${path}`, credential)
    const again = await send('POST', `/consumers/ann/${path}`, credential)
    expect(again).toMatchObject({ status: 409, body: { code: 5 } })
    await send('DELETE', '/consumers/ann')
    expect(store.snapshot()).toEqual(EMPTY)
  })

  test('keep their ids when a document is written and read', async () => {
    await send('POST', '/consumers', { username: 'ann' })
    await send('POST', `/consumers/ann/${path}`, credential)
    const { body } = await send('GET', '/config')
    const before = store.snapshot()
    expect((await send('POST', '/config', body)).status).toBe(201)
    expect(store.snapshot()).toEqual(before)
    await send('POST', '/config', { _format_version: '3.0' })
    const refused = await send('POST', '/config', body)
    expect(refused.status).toBe(400)
    expect(refused.body.message).toContain('*** stands for a secret that is not held here')
  })

  test('in a file have lasting ids, which reveal nothing of the secret', async () => {
    const read = (secretText: string, options = {}) =>
      readDeclarative(
        JSON.stringify({
          _format_version: '3.0',
          consumers: [{ username: 'ann', [kind]: [{ ...rest, [secret]: secretText }] }],
        }),
        { environment: { KEY: SECRET }, ignoreUnknown: false, ...options },
      )
    const [one, other] = [await read(SECRET), await read('another')]
    expect(one[kind]).toHaveLength(1)
    expect(one[kind][0]?.id).toBe(other[kind][0]?.id as string)
    const reference = await read('{vault://env/KEY}')
    expect(reference[kind][0]).toMatchObject({ [secret]: '{vault://env/KEY}' })
    await expect(read('{vault://env/NONE}')).rejects.toThrow('NONE is not set')
  })

  test('are saved in a state file, and a state file from before them is read', async () => {
    await send('POST', '/consumers', { username: 'ann' })
    await send('POST', `/consumers/ann/${path}`, credential)
    let text = ''
    const file = {
      name: 'state',
      read: () => text,
      write: (written: string) => {
        text = written
      },
    }
    text = JSON.stringify({ format: 1, consumers: [] })
    expect(openState(file).snapshot).toEqual(EMPTY)
    doAtOnce(openState(file).save(store.snapshot()))
    expect(openState(file).snapshot).toEqual(store.snapshot())
  })
})

test('a secret that the Admin API generates is shown once, in the answer that creates it', async () => {
  await send('POST', '/consumers', { username: 'ann' })
  for (const [path, secret] of [
    ['key-auth', 'key'],
    ['jwt', 'secret'],
  ] as const) {
    const made = await send('POST', `/consumers/ann/${path}`, {}, true)
    expect(made.body[secret]).toHaveLength(32)
    const shown = await send('GET', `/consumers/ann/${path}/${made.body.id}`)
    expect(shown.body[secret]).toBe(path === 'key-auth' ? `***${made.body.id}` : '***')
  }
})

test('a credential must have the fields that its kind needs', async () => {
  await send('POST', '/consumers', { username: 'ann' })
  for (const [path, body, field] of [
    ['basic-auth', { username: 'a' }, 'password'],
    ['basic-auth', { password: SECRET }, 'username'],
    ['jwt', { algorithm: 'ES256' }, 'rsa_public_key'],
    ['jwt', { algorithm: 'none' }, 'algorithm'],
    ['jwt', { algorithm: 'RS256', rsa_public_key: SECRET }, 'rsa_public_key'],
    ['key-auth', { key: SECRET, ttl: -5 }, 'ttl'],
    ['key-auth', { key: '***' }, 'key'],
    ['key-auth', { key: { a: SECRET } }, 'key'],
  ] as const) {
    const { status, body: answer } = await send('POST', `/consumers/ann/${path}`, body)
    expect([status, Object.keys(answer.fields)]).toEqual([400, [field]])
  }
  const named = await send('PUT', `/consumers/ann/key-auth/${SECRET}`, {})
  expect(named).toMatchObject({ status: 200, body: { key: `***${named.body.id}` } })
  const alone = await send('POST', '/key-auths', { key: SECRET })
  expect(alone.body.fields).toEqual({ consumer: 'required field missing' })
})

describe('passwords of basic-auth', () => {
  const ID = '4d470bf6-6422-4dbc-b72f-b5e8d0c15a2d'
  /** SHA-1 of `planted-pw` and the id, as Kong's export has it. */
  const HASH = 'f990e2e2f1c8558f5fba9cb77c55061a2932637c'
  const document = (password: string, more: object = {}) => ({
    ...{ _format_version: '3.0', ...more },
    consumers: [
      { id: ID, username: 'ann', basicauth_credentials: [{ username: 'ann', password }] },
    ],
  })
  const readPassword = async (content: object) => {
    const options = { environment: { KEY: SECRET }, ignoreUnknown: false }
    const { basicauth_credentials } = await readDeclarative(JSON.stringify(content), options)
    return basicauth_credentials[0]?.password
  }

  test('are hashed as Kong hashes them', async () => {
    expect(await readPassword(document('planted-pw'))).toBe(HASH)
    expect(await readPassword(document(HASH))).not.toBe(HASH)
    expect(await readPassword(document('{vault://env/KEY}'))).toBe('{vault://env/KEY}')
  })

  test.each([
    ['_transform: false', { _transform: false }],
    ['_info.skip_hash_for_basic_auth', { _info: { skip_hash_for_basic_auth: true } }],
  ])('are hashes already in a document with %s', async (_, more) => {
    expect(await readPassword(document(HASH, more))).toBe(HASH)
  })

  test('are hashes already in a request with skip_hash', async () => {
    await send('PUT', `/consumers/${ID}`, { username: 'ann' })
    const made = await send('POST', '/consumers/ann/basic-auth?skip_hash=true', {
      ...{ username: 'ann', password: HASH },
    })
    expect(store.get('basicauth_credentials', made.body.id)?.password).toBe(HASH)
    await send('PATCH', `/basic-auths/${made.body.id}`, { tags: ['t'] })
    expect(store.get('basicauth_credentials', made.body.id)?.password).toBe(HASH)
  })

  test('are plain text in a state file of format 1, and hashes after it was read', () => {
    const consumer = { id: ID }
    const text = JSON.stringify({
      ...{ format: 1, consumers: [{ ...consumer, username: 'ann' }] },
      basicauth_credentials: [{ consumer, username: 'ann', password: 'planted-pw' }],
    })
    let written = text
    const file = {
      name: 'state',
      read: () => written,
      write: (next: string) => {
        written = next
      },
    }
    const state = openState(file)
    expect(state.snapshot?.basicauth_credentials[0]?.password).toBe(HASH)
    doAtOnce(state.save(state.snapshot ?? EMPTY))
    expect(written).not.toContain('planted-pw')
    expect(openState(file).snapshot?.basicauth_credentials[0]?.password).toBe(HASH)
  })

  test('our own document says that they are hashes', async () => {
    await store.replaceAll(
      await readDeclarative(JSON.stringify(document('planted-pw')), {
        ...{ environment: {}, ignoreUnknown: false },
      }),
    )
    const written = writeDeclarative(store.snapshot())
    expect(written).toMatchObject({ _transform: false })
    expect(await readPassword(written)).toBe(HASH)
  })
})

describe('a client that cannot read keys', () => {
  const NEW_ID = '6f0c8a52-d5c9-4d0f-9b0e-6c1f3a7be214'

  test('gives a key another id, and removes the former one', async () => {
    await send('POST', '/consumers', { username: 'ann' })
    const { body: former } = await send('POST', '/consumers/ann/key-auth', { key: SECRET })
    const renewed = await send('PUT', `/consumers/ann/key-auth/${NEW_ID}`, { key: SECRET })
    expect(renewed).toMatchObject({ status: 200, body: { id: NEW_ID } })
    expect(store.list('keyauth_credentials')).toMatchObject([{ id: NEW_ID, key: SECRET }])
    expect((await send('DELETE', `/consumers/ann/key-auth/${former.id}`)).status).toBe(204)
    expect(store.list('keyauth_credentials')).toHaveLength(1)
  })

  test('cannot take the key of another consumer', async () => {
    for (const username of ['ann', 'bob']) await send('POST', '/consumers', { username })
    await send('POST', '/consumers/ann/key-auth', { key: SECRET })
    const taken = await send('PUT', `/consumers/bob/key-auth/${NEW_ID}`, { key: SECRET })
    expect(taken).toMatchObject({ status: 409, body: { code: 5 } })
  })
})

describe('an Admin API with a token', () => {
  const TOKEN = 'token-of-the-admins'
  const open = (token: string | undefined, path: string, init: RequestInit = {}) =>
    createAdmin({
      ...{ store, version: '1', token: TOKEN, status: () => ({}) },
      load: (text) => readDeclarative(text, { environment: {}, ignoreUnknown: false }),
      dump: writeDeclarative,
    }).request(path, {
      ...init,
      headers: { 'content-type': 'application/json', ...(token && { 'Kong-Admin-Token': token }) },
    })

  test('refuses every request without it', async () => {
    for (const token of [undefined, '', 'token-of-the-admin', `${TOKEN}s`]) {
      for (const path of ['/', '/status', '/routes', '/config', '/nowhere']) {
        const refused = await open(token, path)
        expect({ path, status: refused.status }).toEqual({ path, status: 401 })
        expect(await refused.text()).not.toContain(TOKEN)
      }
    }
  })

  test('shows secrets to clients that have it, as Kong does', async () => {
    store.insert('consumers', { username: 'ann' })
    const body = JSON.stringify({ key: SECRET })
    const made = await open(TOKEN, '/consumers/ann/key-auth', { method: 'POST', body })
    expect(await made.json()).toMatchObject({ key: SECRET })
    for (const path of ['/key-auths', '/config']) {
      expect(await (await open(TOKEN, path)).text()).toContain(SECRET)
    }
  })
})

test('a form is read by the fields of the plugin that it names or changes', async () => {
  const form = async (method: string, path: string, data: string) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const response = await admin.request(path, { method, headers, body: data })
    return response.json()
  }
  const made = await form(
    'POST',
    '/plugins',
    'name=rate-limiting&config.minute=5&config.policy=local&config.hide_client_headers=true',
  )
  expect(made.config).toMatchObject({ minute: 5, hide_client_headers: true })
  const changed = await form('PATCH', `/plugins/${made.id}`, 'config.hour=100')
  expect(changed.config).toMatchObject({ minute: 5, hour: 100 })
  const keyAuth = await form('POST', '/plugins', 'name=key-auth&config.key_names=x-key')
  expect(keyAuth.config.key_names).toEqual(['x-key'])
})
