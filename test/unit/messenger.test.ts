import { describe, expect, test } from 'bun:test'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { KafkaConsumeError, shuttingDownError } from '../../src/core/errors.ts'
import { type MessageChannelEnd, Messenger, Transferred } from '../../src/threads/messenger.ts'
import { until } from '../support/wait.ts'

/** Two ends of a conversation, and what the first one has sent, in the order of its messages. */
function conversation() {
  const { port1, port2 } = new MessageChannel()
  const sent: unknown[] = []
  const first: MessageChannelEnd = {
    postMessage(message, transferred) {
      sent.push(message)
      port1.postMessage(message, [...(transferred ?? [])])
    },
    on: (event, listener) => port1.on(event, listener as never),
  }
  return {
    asking: new Messenger(first),
    answering: new Messenger(port2 as unknown as MessageChannelEnd),
    sent,
    [Symbol.dispose]: () => closeAll(port1, port2),
  }
}

function closeAll(...ports: readonly MessagePort[]): void {
  for (const port of ports) port.close()
}

describe('messages between threads', () => {
  test('requests of one turn go together, and are answered together', async () => {
    using talk = conversation()
    let turns = 0
    talk.answering.handle({ twice: (n: number) => 2 * n, turn: () => ++turns })
    const asked = [1, 2, 3].map((n) =>
      talk.asking.request<number>('twice', n, undefined, 'this turn'),
    )
    expect(await Promise.all(asked)).toEqual([2, 4, 6])
    expect(talk.sent).toHaveLength(1)
  })

  test('a message that can wait goes with the next one, before it', async () => {
    using talk = conversation()
    const got: string[] = []
    talk.answering.handle({ note: (text: string) => void got.push(text), ask: () => got.length })
    talk.asking.notify('note', 'acked', 'soon')
    expect(talk.sent).toHaveLength(0)
    expect(await talk.asking.request<number>('ask', 0)).toBe(1)
    expect(talk.sent).toHaveLength(1)
  })

  test('a message that can wait goes by itself when no other one is sent', async () => {
    using talk = conversation()
    const got: number[] = []
    talk.answering.handle({ note: (n: number) => void got.push(n) })
    for (const n of [1, 2, 3]) talk.asking.notify('note', n, 'soon')
    await until(() => got.length === 3, 'three notices')
    expect(talk.sent).toHaveLength(1)
  })

  test('an answer that comes meanwhile does not send a message that can wait', async () => {
    using talk = conversation()
    talk.answering.handle({ ask: (n: number) => n, note: () => undefined })
    const answer = talk.asking.request<number>('ask', 1)
    talk.asking.notify('note', 1, 'soon')
    await answer
    expect(talk.sent).toHaveLength(1)
  })

  test.each<[string, unknown]>([
    ['numbers', [1, -2, 2 ** 53, 0.5]],
    ['texts', ['', 'a "b"\u{1f600}', '\ud800']],
    ['an infinite number', Infinity],
    ['nothing', undefined],
    ['null', [null, undefined]],
    ['an object', { a: [1, { b: new Set([2]) }] }],
    ['bytes', new Uint8Array([1, 2])],
  ])('%s arrive as they were sent, whatever goes along', async (_, value) => {
    using talk = conversation()
    talk.answering.handle({ same: (given: unknown) => given })
    const plain = talk.asking.request('same', 1, undefined, 'this turn')
    expect(await talk.asking.request<unknown>('same', value)).toEqual(value)
    expect(await plain).toBe(1)
  })

  test('memory that moves is not copied', async () => {
    using talk = conversation()
    const buffer = new ArrayBuffer(8)
    talk.answering.handle({ move: () => new Transferred(new Uint8Array(buffer), [buffer]) })
    expect(await talk.asking.request<Uint8Array>('move')).toHaveLength(8)
    expect(buffer.byteLength).toBe(0)
  })

  test('one that cannot be sent is an error for those who wait for it, and the others arrive', async () => {
    using talk = conversation()
    talk.answering.handle({ same: (given: unknown) => given, bad: () => () => undefined })
    const asked = [
      talk.asking.request('same', { fine: 1 }, undefined, 'this turn'),
      talk.asking.request('same', () => undefined, undefined, 'this turn'),
      talk.asking.request('bad', 1, undefined, 'this turn'),
      talk.asking.request('same', 2, undefined, 'this turn'),
    ]
    const settled = await Promise.allSettled(asked)
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ])
  })

  test('an error keeps its code, and its detail', async () => {
    using talk = conversation()
    talk.answering.handle({
      fail: () => {
        throw new KafkaConsumeError('INTERNAL', 'Cannot do it', { detail: 'planted' })
      },
    })
    expect(await talk.asking.request('fail').catch((error: unknown) => error)).toMatchObject({
      code: 'INTERNAL',
      message: 'Cannot do it',
      detail: 'planted',
    })
  })
})

describe('a client that leaves', () => {
  /** A client whose signal is counted. */
  function client() {
    const controller = new AbortController()
    let asked = 0
    return {
      leave: () => controller.abort(),
      get asked() {
        return asked
      },
      get signal() {
        asked++
        return controller.signal
      },
    }
  }

  test('is not watched for an answer that is there at once', async () => {
    using talk = conversation()
    talk.answering.handle({ ask: () => 'at once' })
    const someone = client()
    expect(await talk.asking.request<string>('ask', 1, someone)).toBe('at once')
    expect(someone.asked).toBe(0)
  })

  test('ends the wait of the other thread, before or after that has begun to wait', async () => {
    using talk = conversation()
    let waiting = 0
    talk.answering.handle({
      wait: (_: unknown, asking) =>
        new Promise((resolve) => {
          asking.signal.addEventListener('abort', () => resolve('left'))
          waiting++
        }),
    })
    const [early, late] = [client(), client()]
    early.leave()
    expect(await talk.asking.request<string>('wait', 1, early)).toBe('left')
    const answer = talk.asking.request<string>('wait', 1, late)
    await until(() => late.asked === 1, 'the other thread to wait')
    late.leave()
    expect(await answer).toBe('left')
    expect(waiting).toBe(2)
  })

  test('a conversation that ends aborts what the other thread asked for, also where that waits later', async () => {
    using talk = conversation()
    const begun = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const aborted: boolean[] = []
    talk.answering.handle({
      wait: async (_: unknown, asking) => {
        begun.resolve()
        await goOn.promise
        aborted.push(asking.signal.aborted)
      },
    })
    talk.asking.request('wait', 1).catch(() => undefined)
    await begun.promise
    talk.answering.close(shuttingDownError('answer'))
    goOn.resolve()
    await until(() => aborted.length === 1, 'the handler to end')
    expect(aborted).toEqual([true])
  })
})
