/**
 * The prose of the code, as part of `bun run check`. It refuses comments that begin without a subject,
 * phrases that CONTRIBUTING.md rules out, and names that the terms of docs/glossary.md have replaced.
 * `bun test/prose.ts` prints each of them with its place; `bun test/prose.ts PATH…` checks these files.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const root = dirname(import.meta.dirname)
const CODE = '{src,kafka,native,tools,bench,package,examples,test}/**/*.{ts,tsx,js}'
const PAGES = '{*.md,docs/*.md,native/*.md}'

/** Words with which a comment begins that has no subject, or needs the comment before it. */
const NO_SUBJECT =
  /^(?:Has|Of|Who|Whoever|Whose|What|Whatever|Those|Them|Also|As above|The same|The latter|The former|Ditto)\b/

interface Phrase {
  readonly pattern: RegExp
  readonly say: string
}

/** Phrases of comments, messages and pages. */
const PHRASES: readonly Phrase[] = [
  {
    pattern: /(?<!\b(?:there|here|where) )\b(?:is|are) no (?!longer\b|more\b)[\w"'`][\w-]*/gi,
    say: '"is not a …" or "is not valid …"',
  },
  { pattern: /\banew\b/gi, say: '"again"; a topic is "re-created"' },
  { pattern: /\bthe latter\b/gi, say: 'the thing itself' },
  { pattern: /\bwho(?:ever)? asks\b/gi, say: '"client"' },
  {
    pattern: /\bdo(?:es)? not tell (?:it|them|sizes?|the size)\b/gi,
    say: 'what is not reported, returned or exposed',
  },
  {
    pattern: /\b(?:hand|give)s? (?:it |them )?back\b|\b(?:handed|given) back\b/gi,
    say: '"requeue"',
  },
]

/** Words that must not be a part of a name, with the term of the glossary. Names in bench/ are free. */
const NAMES: Readonly<Record<string, string>> = {
  replay: 'catch-up read',
  replays: 'catch-up reads',
  replaying: 'catching up',
  linger: 'idle timeout',
  ledger: 'offset tracker',
  outlet: 'writer',
  mend: 'fix',
  anew: 're-created, or again',
  preparation: 'processor',
  caller: 'client',
  callers: 'clients',
  placed: 'record metadata',
  problem: 'error, or outage',
  problems: 'errors',
}

/** A comment, a text or the code around them, with the offset at which it begins. */
interface Part {
  readonly kind: 'comment' | 'text' | 'code'
  readonly at: number
  readonly text: string
}

const TOKEN =
  /(\/\*[\s\S]*?\*\/|(?:^[ \t]*\/\/[^\n]*\n)+|\/\/[^\n]*)|('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)/gm

/** Divides a file. Subsequent lines of `//` are one comment. A regular expression may count as a text. */
function* partsOf(text: string): Generator<Part> {
  let at = 0
  for (const match of text.matchAll(TOKEN)) {
    yield { kind: 'code', at, text: text.slice(at, match.index) }
    at = match.index + match[0].length
    yield { kind: match[1] === undefined ? 'text' : 'comment', at: match.index, text: match[0] }
  }
  yield { kind: 'code', at, text: text.slice(at) }
}

/** The words of a name: `maxGroups` has `max` and `groups`. */
function wordsOf(name: string): string[] {
  return name.split(/[_$]|(?<=[a-z\d])(?=[A-Z])/).map((word) => word.toLowerCase())
}

function faultOfBeginning(comment: string): string | undefined {
  const [found] = NO_SUBJECT.exec(comment.replace(/^[\s/*]+/, '')) ?? []
  if (found === undefined) return undefined
  return `the comment begins with "${found}": begin with the subject, so that it stands alone`
}

function* faultsOfProse(text: string): Generator<string> {
  for (const { pattern, say } of PHRASES) {
    for (const [found] of text.matchAll(pattern)) yield `"${found}": say ${say}`
  }
}

function* faultsOfNames(code: string): Generator<string> {
  for (const [name] of code.matchAll(/[A-Za-z_$][\w$]*/g)) {
    const old = wordsOf(name).find((word) => Object.hasOwn(NAMES, word))
    if (old !== undefined) yield `the name ${name}: "${old}" is "${NAMES[old]}" in docs/glossary.md`
  }
}

function* faultsOfPart({ kind, text }: Part, path: string): Generator<string> {
  if (kind === 'code') {
    if (!path.startsWith('bench/')) yield* faultsOfNames(text)
    return
  }
  const beginning = kind === 'comment' ? faultOfBeginning(text) : undefined
  if (beginning !== undefined) yield beginning
  yield* faultsOfProse(text)
}

function placeOf(path: string, text: string, at: number): string {
  return `${path}:${text.slice(0, at).split('\n').length}`
}

function* faultsOfFile(path: string): Generator<string> {
  const text = readFileSync(resolve(root, path), 'utf8')
  if (path.endsWith('.md')) {
    for (const fault of faultsOfProse(text)) yield `${path}: ${fault}`
    return
  }
  for (const part of partsOf(text)) {
    const begin = part.at + (/\S/.exec(part.text)?.index ?? 0)
    for (const fault of faultsOfPart(part, path)) yield `${placeOf(path, text, begin)} ${fault}`
  }
}

/** All files of code and pages, except this one and its test, which name what they refuse. */
function allPaths(): string[] {
  return [CODE, PAGES]
    .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })])
    .filter((path) => !path.includes('node_modules/') && !path.startsWith('test/prose.'))
    .sort()
}

const given = process.argv.slice(2)
const faults = (given.length > 0 ? given : allPaths()).flatMap((path) => [...faultsOfFile(path)])
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
