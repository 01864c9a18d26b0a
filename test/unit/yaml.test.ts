import { describe, expect, test } from 'bun:test'
import { parseText } from '../../src/kong/model/parse-document.ts'
import { parseInThread } from '../../src/kong/model/parse-in-thread.ts'
import { parseYaml } from '../../src/kong/model/yaml.ts'
import { sleep } from '../support/wait.ts'

const large = `{${Array.from({ length: 70_000 }, (_, n) => `k${n}: `).join(', ')}}`

describe('YAML', () => {
  test('is parsed as YAML 1.2 with merge keys', () => {
    const text = 'a: &a {b: yes, c: 012, d: 2020-01-01}\ne: {<<: *a, b: no}\nf: ["3.0", 3.0, ~]'
    const a = { b: 'yes', c: 12, d: '2020-01-01' }
    expect(parseYaml(text)).toEqual({ a, e: { ...a, b: 'no' }, f: ['3.0', 3, null] })
    expect(parseYaml('# nothing')).toBeNull()
    expect(parseYaml('{"a": [1, "b"]}')).toEqual({ a: [1, 'b'] })
  })

  test.each([
    ['a: *planted', 'at line 1, column'],
    ['a: "planted', 'at line 1'],
    ['a: 1\nplanted: 1\nplanted: 2', 'at line 3'],
    ['a: !planted 1', 'at line 1'],
  ])(
    'what is wrong is said by its place, and nothing of the text is repeated: %s',
    (text, place) => {
      let message = ''
      try {
        parseYaml(text)
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).toContain(place)
      expect(message).not.toContain('planted')
    },
  )

  test('with aliases that repeat to more than a million values is refused', () => {
    const bomb = Array.from({ length: 9 }, (_, n) => `- &a${n + 1} [${`*a${n},`.repeat(9)}]`)
    expect(() => parseYaml(`- &a0 x\n${bomb.join('\n')}`)).toThrow('more than 1000000 values')
    expect(() => parseYaml('a: &a {b: *a}')).toThrow('more than 1000000 values')
  })

  test('a large document is read while the event loop goes on', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 5)
    const value = await parseText(large, 'yaml')
    clearInterval(timer)
    expect(Object.keys(value as object)).toHaveLength(70_000)
    expect(turns).toBeGreaterThan(3)
    await expect(parseText(`a: [${'x'.repeat(100_000)}`, 'yaml')).rejects.toThrow('at line 1')
  })

  test('a document that takes too long is refused, and its thread is ended', async () => {
    await expect(parseInThread(large, 1)).rejects.toThrow('it takes more than 1 ms to read')
    // An error of the thread that was ended would come by now.
    await sleep(0)
  })
})
