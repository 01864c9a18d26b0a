import { afterAll, describe, expect, test } from 'bun:test'
import { KafkaConsumeError, kafkaConsume } from '../../src/index.ts'
import { luaSyntaxError } from '../../src/options/lua-syntax.ts'
import { LuaRunner } from '../../src/records/lua/runner.ts'
import { changesOf } from '../../src/records/lua/step.ts'
import { within } from '../support/wait.ts'

const MESSAGE = {
  topic: 't',
  partition: 1,
  offset: 5,
  timestamp: 1_787_305_085_262,
  key: 'k',
  value: '{"list":[1,2.5,"é\\n"],"empty":[],"none":null,"id":9007199254740993,"o":{}}',
  headers: { a: '1', b: ['x', 'y'] },
}

const runners: LuaRunner[] = []
afterAll(() => Promise.all(runners.map((runner) => runner.close())))

function runnerOf(functions: readonly string[], limit?: number): LuaRunner {
  const runner = new LuaRunner(functions, 'records', limit)
  runners.push(runner)
  return runner
}

function run(functions: string | readonly string[], message: object = MESSAGE) {
  const all = typeof functions === 'string' ? [functions] : functions
  return within(runOn(runnerOf(all), JSON.stringify(message)), 'an answer', 25_000)
}

async function runOn(runner: LuaRunner, json: string) {
  const result = await runner.run(json)
  return result.status === 'done' ? { status: 'done', ...changesOf(result.results) } : result
}

describe('Lua functions', () => {
  test('a message that is not changed keeps its bytes', async () => {
    expect(await run('return function(message) return message end')).toEqual({
      status: 'done',
      extra: '',
    })
  })

  test('the fields of a message may be changed, in turn', async () => {
    const result = await run([
      'return function(m) m.key = m.key .. "!"; m.value = "v" .. m.partition; return m end',
      // Without "return", as the reference has it.
      'function(m) m.value = m.value .. "-" .. m.offset; m.headers.a = nil; m.headers.c = "ą"; return m end',
    ])
    expect(result).toEqual({
      status: 'done',
      key: '"k!"',
      value: '"v1-5"',
      headers: '{"b":["x","y"],"c":"ą"}',
      extra: '',
    })
  })

  test('nil drops a message', async () => {
    expect(await run('return function(m) return nil end')).toEqual({ status: 'dropped' })
    expect(await run('return function(m) end')).toEqual({ status: 'dropped' })
  })

  test('Kong’s own examples work', async () => {
    const transform = `
      return function(message)
        local json = require("cjson.safe")
        local m = type(message) == "table" and message or { value = message }
        if type(m.value) == "string" then
          m.decoded = json.decode(m.value) or nil
        end
        m.processed_by_lua = true
        return m
      end`
    expect(await run(transform)).toEqual({
      status: 'done',
      extra:
        ',"decoded":{"empty":[],"id":9007199254740993,"list":[1,2.5,"é\\u000a"],"none":null,"o":{}},"processed_by_lua":true',
    })
    expect(await run(transform, { ...MESSAGE, value: 'no JSON' })).toEqual({
      status: 'done',
      extra: ',"processed_by_lua":true',
    })
    const filter = `
      return function(message)
        local m = type(message) == "table" and message or { value = message }
        if m.value == nil or (type(m.value)=="string" and #m.value==0) then
          return nil
        end
        return m
      end`
    expect(await run(filter, { ...MESSAGE, value: '' })).toEqual({ status: 'dropped' })
    expect(await run(filter, { ...MESSAGE, value: null })).toEqual({ status: 'dropped' })
    expect(await run(filter)).toEqual({ status: 'done', extra: '' })
  })

  test('a returned value that is not a message becomes the value', async () => {
    const decoded = 'return function(m) return require("cjson").decode(m.value).list end'
    expect(await run(decoded)).toMatchObject({ value: '[1,2.5,"é\\u000a"]' })
    expect(await run('return function() return 5 end')).toMatchObject({ value: '5' })
    expect(await run('return function() return {a = {}} end')).toMatchObject({
      value: '{"a":{}}',
    })
    const made = await run('return function(m) return {value = 1.5, why = m.topic} end')
    expect(made).toEqual({ status: 'done', value: '1.5', extra: ',"why":"t"' })
    const tombstone = await run('return function(m) m.value = nil return m end')
    expect(tombstone).toMatchObject({ status: 'done', value: 'null' })
  })

  test('a value that is JSON is a table, and numbers and empty lists in it are kept', async () => {
    const value = JSON.parse(
      '{"n":1,"big":1e21,"half":0.1,"list":[],"deep":[[{"x":[]}]]}',
    ) as unknown
    const result = await run('return function(m) m.value.n = m.value.n + 1 return m end', {
      ...MESSAGE,
      value,
    })
    expect(JSON.parse((result as { value: string }).value)).toEqual({
      ...(value as object),
      n: 2,
    })
  })

  test('cannot leave their sandbox', async () => {
    const tried: ReadonlyArray<readonly [expression: string, words: string]> = [
      ['os.time()', "global 'os'"],
      ['io.open("/etc/passwd")', "global 'io'"],
      ['require("os")', "module 'os' is not there"],
      ['load("return 1")()', "global 'load'"],
      ['loadstring("return 1")', "global 'loadstring'"],
      ['dofile("/etc/passwd")', "global 'dofile'"],
      ['debug.getinfo(1)', "global 'debug'"],
      ['string.dump(print)', 'dump'],
      ['package.loaded', "global 'package'"],
      ['coroutine.create(1)', "global 'coroutine'"],
      ['collectgarbage()', "global 'collectgarbage'"],
      ['getmetatable("").__index.dump', 'boolean'],
      ['js.global', "global 'js'"],
      ['setup("x", "return 1")', "global 'setup'"],
    ]
    const all = tried.map(([expression]) => `function() return ${expression} end`).join(', ')
    const runner = runnerOf([`local all = {${all}} return function(m) return all[m.offset]() end`])
    for (const [index, [expression, words]] of tried.entries()) {
      const result = await runner.run(JSON.stringify({ ...MESSAGE, offset: index + 1 }))
      expect([expression, result.status]).toEqual([expression, 'failed'])
      expect((result as { error: string }).error).toContain(words)
    }
  })

  test('an error fails its message only', async () => {
    const runner = runnerOf([
      'return function(m) if m.offset == 5 then error("boom") elseif m.offset == 6 then error({}) end return m end',
    ])
    const at = (offset: number) => runOn(runner, JSON.stringify({ ...MESSAGE, offset }))
    expect(await Promise.all([at(4), at(5), at(6), at(7)])).toEqual([
      { status: 'done', extra: '' },
      { status: 'failed', error: 'function 1:1: boom' },
      { status: 'failed', error: 'an error that is a table' },
      { status: 'done', extra: '' },
    ])
  })

  test.each([
    ['a loop that catches its errors', 'while true do pcall(function() while true do end end) end'],
    ['a pattern that backtracks', '(("a"):rep(5000)):find((".-"):rep(20) .. "b")'],
    ['a list that grows for ever', 'local t = {} while true do t[#t + 1] = ("x"):rep(1000) end'],
    ['a function that calls itself', 'local function f() return f() + 1 end f()'],
  ])('%s is stopped, and neighbouring records go on', async (_, code) => {
    // Long enough for a busy machine to answer the neighbours.
    const runner = runnerOf(
      [`return function(m) if m.offset == 5 then ${code} end return m end`],
      3_000,
    )
    const at = (offset: number) => runOn(runner, JSON.stringify({ ...MESSAGE, offset }))
    const [before, stopped, after, last] = await Promise.all([at(4), at(5), at(6), at(7)])
    expect(before).toEqual({ status: 'done', extra: '' })
    expect(stopped.status).toBeOneOf(['failed', 'exceeded'])
    expect(after).toEqual({ status: 'done', extra: '' })
    expect(last).toEqual({ status: 'done', extra: '' })
  })

  test('a result that cannot be JSON fails', async () => {
    const values = ['function() end', '0/0', '1/0', '"\\xff"', '{[{}] = 1}', 'math', 'loop']
    const runner = runnerOf([
      `local loop = {} loop.loop = loop
       local all = {${values.join(', ')}} return function(m) m.value = all[m.offset] return m end`,
    ])
    for (const [index, value] of values.entries()) {
      const result = await runner.run(JSON.stringify({ ...MESSAGE, offset: index + 1 }))
      expect([value, result.status]).toEqual([value, 'failed'])
    }
  })

  test('a text that does not return a function when it is run does not fail records', async () => {
    const runner = runnerOf(['return nowhere'])
    for (let i = 0; i < 2; i++) {
      await expect(runner.run(JSON.stringify(MESSAGE))).rejects.toMatchObject({
        code: 'INTERNAL',
        retryable: true,
        detail: 'function 1 returns no function',
      })
    }
  })

  test('closing fails records that are not answered', async () => {
    const runner = runnerOf(['return function(m) while true do end end'])
    const waiting = runner.run(JSON.stringify(MESSAGE))
    await within(runner.close(), 'the runner to close', 20_000)
    await expect(waiting).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })
})

describe('Lua functions of requests', () => {
  const ABOUT = {
    consumer: { id: 'c1', username: 'alice', custom_id: null },
    credential: null,
    ip: '10.0.0.1',
    request: {
      method: 'POST',
      path: '/a',
      query: { one: '1', two: ['2', '3'] },
      headers: { 'x-a': 'b', 'x-more': ['c', 'd'] },
    },
    response: { status: 201, headers: { server: 'us' } },
  }

  function runWith(purpose: 'requests' | 'fields', functions: readonly string[], message: object) {
    const runner = new LuaRunner(functions, purpose)
    runners.push(runner)
    const texts = purpose === 'requests' ? [JSON.stringify(message)] : []
    return within(runner.run(...texts, JSON.stringify(ABOUT)), 'an answer', 25_000)
  }

  test('each gets what the one before returned, and the last one is sent', async () => {
    const add = 'return function(m) m.n = (m.n or 0) + 1; return m end'
    expect(await runWith('requests', [add, add], { list: [], none: null })).toEqual({
      status: 'done',
      results: [null, '{"list":[],"n":2,"none":null}'],
    })
    expect(await runWith('requests', [add, 'function(m) return "n=" .. m.n end'], {})).toEqual({
      status: 'done',
      results: ['n=1', null],
    })
    expect(await runWith('requests', ['function(m) return nil end'], {})).toEqual({
      status: 'dropped',
    })
    expect(await runWith('requests', ['function(m) error("boom") end'], {})).toEqual({
      status: 'failed',
      error: 'function 1:1: boom',
    })
  })

  test('read the consumer and the request by Kong’s PDK', async () => {
    const calls = [
      'kong.client.get_consumer().username',
      'tostring(kong.client.get_credential())',
      'kong.client.get_ip()',
      'kong.request.get_method()',
      'kong.request.get_header("X-A")',
      'kong.request.get_header("x-more")',
      'tostring(kong.request.get_header("x-none"))',
      'kong.request.get_query_arg("two")',
      'kong.request.get_query().one',
      'kong.response.get_status()',
      'kong.response.get_header("Server")',
    ]
    const result = await runWith('requests', [`function(m) return { ${calls.join(', ')} } end`], {})
    const values = ['alice', 'nil', '10.0.0.1', 'POST', 'b', 'c', 'nil', '2', '1', 201, 'us']
    expect(result).toEqual({ status: 'done', results: [null, JSON.stringify(values)] })
  })

  test('of a log are chunks, of which one that fails leaves the others', async () => {
    const chunks = [
      'return kong.request.get_header("x-a")',
      'return nil',
      'error("boom")',
      'return { nested = { 1, 2 } }',
      'return kong.response.get_status() + 1',
      'local x = 1',
    ]
    expect(await runWith('fields', chunks, {})).toEqual({
      status: 'done',
      results: [
        '[{"value":"b"},{},{"error":"function 3:1: boom"},{"value":{"nested":[1,2]}},{"value":202},{}]',
      ],
    })
  })
})

describe('the text of a Lua function', () => {
  test.each([
    'return function(message) return message end',
    'function(m) return m end',
    'local n = 1 return function(m) return m end',
    'local function f(m) return m end\nreturn f',
  ])('%s is taken', (text) => expect(luaSyntaxError(text)).toBeUndefined())

  test.each([
    ['return functio(m) return m end', 'it is not valid Lua'],
    ['return function(m) return m', 'it is not valid Lua'],
    ['return nil', 'return function(message)'],
    ['local x = 1', 'return function(message)'],
    ['return 5', 'return function(message)'],
  ])('%s is refused when the route is made', (text, words) => {
    expect(luaSyntaxError(text)).toContain(words)
    const make = () =>
      kafkaConsume({
        bootstrapServers: 'localhost:9092',
        topics: ['t'],
        messageByLuaFunctions: ['return function(m) return m end', text],
      })
    expect(make).toThrow(KafkaConsumeError)
    expect(make).toThrow('messageByLuaFunctions.1')
    expect(make).toThrow(words)
  })
})
