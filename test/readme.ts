/**
 * The README's table of options, made of the schema. `bun test/readme.ts` writes it there;
 * `test/readme.test.ts` fails while the two differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { optionsSchema } from '../src/options/consume-options.ts'

const FILE = join(import.meta.dir, '..', 'README.md')
const BLOCK = /<!-- options -->[\s\S]*<!-- \/options -->/

/** The README with the table as the schema has it. */
export function withOptionTable(readme: string): string {
  return readme.replace(BLOCK, `<!-- options -->\n${optionTable()}\n<!-- /options -->`)
}

export function readReadme(): string {
  return readFileSync(FILE, 'utf8')
}

function optionTable(): string {
  const rows = Object.entries(optionsSchema.entries).map(([name, schema]) => {
    const value = v.getDefault(schema)
    const missing = schema.type === 'optional' ? '' : 'required'
    const text = value === undefined ? missing : `\`${JSON.stringify(value)}\``
    return `| \`${name}\` | ${text} | ${v.getDescription(schema)} |`
  })
  return ['| option | default | meaning |', '|---|---|---|', ...rows].join('\n')
}

if (import.meta.main) writeFileSync(FILE, withOptionTable(readReadme()))
