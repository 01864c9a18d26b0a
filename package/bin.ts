#!/usr/bin/env bun
/** The command `bunx hono-kafka-consume`. */
import { readFileSync } from 'node:fs'

// Read, because an import would become part of a chunk that loads Hono, which the set-up does without.
const { version }: { version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

const usage = `Usage: bunx hono-kafka-consume <command>

  setup [options]   compiles the Kafka client for this machine, if that is not done
  server [options]  runs the set-up, then starts the gateway

Both take --help. Version ${version}.`

const [command, ...rest] = process.argv.slice(2)
const program = process.argv.slice(0, 2)

if (command === 'setup') {
  process.argv = [...program, ...rest]
  await import('../native/setup.ts')
} else if (command === 'server') {
  process.argv = [...program, '--quiet']
  await import('../native/setup.ts')
  process.argv = [...program, ...rest]
  await import('../src/server.ts')
} else if (command === undefined || command === '--help' || command === '-h') {
  console.log(usage)
} else if (command === '--version' || command === '-v') {
  console.log(version)
} else {
  console.error(`Cannot run "${command}": it is not a command\n\n${usage}`)
  process.exit(2)
}
