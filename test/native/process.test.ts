import { expect, test } from 'bun:test'
import { join } from 'node:path'

/** A crash would show as a signal or another exit code. */
async function runProgram(name: string) {
  const started = performance.now()
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'programs', `${name}.ts`)], {
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 60_000,
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  const seconds = (performance.now() - started) / 1000
  return { exitCode: child.exitCode, signal: child.signalCode, output, errors, seconds }
}

test('A process ends with its own exit code while clients are connected', async () => {
  const { exitCode, signal, output, seconds } = await runProgram('exit-connected')
  expect({ exitCode, signal, output }).toEqual({ exitCode: 7, signal: null, output: 'consuming\n' })
  expect(seconds).toBeLessThan(40)
}, 120_000)

test('An error thrown in a callback is an uncaught exception, and the client goes on', async () => {
  const { exitCode, output, errors } = await runProgram('throw-in-callback')
  expect({ exitCode, output, errors }).toEqual({
    exitCode: 0,
    output: 'reports 5, uncaught 5\n',
    errors: '',
  })
}, 120_000)

test('An uncaught exception ends a process while clients are connected', async () => {
  const { exitCode, signal, errors, seconds } = await runProgram('throw-uncaught')
  expect({ exitCode, signal }).toEqual({ exitCode: 1, signal: null })
  expect(errors).toContain('thrown on purpose')
  expect(seconds).toBeLessThan(40)
}, 120_000)

test('Worker threads have clients of their own, and end', async () => {
  const { exitCode, output, errors } = await runProgram('workers')
  expect({ exitCode, output, errors }).toEqual({
    exitCode: 0,
    output: 'worker read 10\nworker read 10\nmain read 10\n',
    errors: '',
  })
}, 120_000)

test('50 consumers and 50 producers leave no threads, files or memory behind', async () => {
  const { exitCode, output, errors } = await runProgram('reconnect')
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' })
  const { before, after } = JSON.parse(output)
  // The pool keeps idle threads for a while, one for each job that ran at the same time.
  expect(after.threads - before.threads).toBeLessThanOrEqual(4)
  expect(after.files - before.files).toBeLessThanOrEqual(4)
  expect(after.megabytes - before.megabytes).toBeLessThan(60)
}, 120_000)

test('Clients that are never connected are freed with their objects', async () => {
  const { exitCode, output } = await runProgram('garbage')
  expect(exitCode).toBe(0)
  const { before, after } = JSON.parse(output)
  expect(after - before).toBeLessThan(40)
}, 120_000)
