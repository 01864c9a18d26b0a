/** Values that stand elsewhere: `{vault://env/NAME}` in entities, `${{ env "NAME" }}` in files. */

/** The variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Whether a field whose value is shown, such as a topic's name, may read a variable by a vault
 * reference. Fields that hold secrets may read any: nothing shows those.
 */
export type MayShow = (variable: string) => boolean

/** A value, or why there is none; never with the value in it. */
type Resolved = { readonly value: string; readonly error?: undefined } | { readonly error: string }

const VAULT = /^\{vault:\/\/([^/{}?]+)\/([^/{}?]+)(?:\/([^{}?]+))?(\?[^{}]*)?\}$/

/** Whether a text is a reference as a whole: Kong knows no others. */
export function isVaultReference(text: string): boolean {
  return text.startsWith('{vault://') && text.endsWith('}')
}

/** Kong's `env` vault: names in capitals with `_` for `-`, and `/key` for a field of JSON. */
export function resolveVault(reference: string, environment: Environment): Resolved {
  const [, vault, resource = '', key, query] = VAULT.exec(reference) ?? []
  if (vault === undefined) return { error: `cannot resolve '${reference}': not a vault reference` }
  if (vault !== 'env' || query !== undefined) {
    const state =
      vault === 'env' ? 'options are not supported' : `vault '${vault}' is not supported`
    return { error: `cannot resolve '${reference}': ${state}, {vault://env/NAME} is` }
  }
  const name = variableOf(resource)
  const value = environment[name]
  if (value === undefined) {
    return { error: `cannot resolve '${reference}': environment variable ${name} is not set` }
  }
  if (key === undefined) return { value }
  const field = jsonField(value, key)
  if (field !== undefined) return { value: field }
  return {
    error: `cannot resolve '${reference}': environment variable ${name} has no text under the JSON key '${key}'`,
  }
}

/** The variable that a vault reference reads; undefined where it reads none. */
export function variableIn(reference: string): string | undefined {
  const [, vault, resource = ''] = VAULT.exec(reference) ?? []
  return vault === 'env' ? variableOf(resource) : undefined
}

function variableOf(resource: string): string {
  return resource.toUpperCase().replaceAll('-', '_')
}

function jsonField(text: string, key: string): string | undefined {
  try {
    const object: unknown = JSON.parse(text)
    if (typeof object !== 'object' || object === null || !Object.hasOwn(object, key))
      return undefined
    const value: unknown = (object as Record<string, unknown>)[key]
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  } catch {
    return undefined
  }
}

/** A text within a document, and where it stands there. */
type TextVisitor = (text: string, path: readonly string[]) => unknown

/** A copy of a document with its texts replaced. Array elements are counted from one, as Kong does. */
export function mapTexts(
  value: unknown,
  visit: TextVisitor,
  path: readonly string[] = [],
): unknown {
  if (typeof value === 'string') return visit(value, path)
  if (Array.isArray(value)) {
    return value.map((each, index) => mapTexts(each, visit, [...path, String(index + 1)]))
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, mapTexts(each, visit, [...path, key])]),
  )
}

/** decK's spelling, in a file's text; the quotes are escaped inside of JSON. */
const DECK = /\$\{\{\s*env\s+(\\?["'`])([A-Za-z_]\w*)\1\s*(?:\|\s*(toInt|toFloat|toBool)\s*)?\}\}/g

interface TextPlace {
  readonly name: string
  readonly filter: string | undefined
  /** Whether the text would be read as YAML reads what has no quotes. */
  readonly plain: boolean
}

/**
 * decK's references of one file. They are set aside before the file is parsed, since they may stand
 * within quotes of the same kind, and put in after that, so that no value can change its structure.
 */
export class DeckReferences {
  /** The file's text, to be parsed. */
  readonly text: string
  readonly #places: TextPlace[] = []
  readonly #names = new Set<string>()
  readonly #mark = `ENV${crypto.randomUUID().replaceAll('-', '')}`
  readonly #environment: Environment

  constructor(text: string, environment: Environment) {
    this.#environment = environment
    this.text = text.replace(DECK, (match, _quote, name: string, filter, offset: number) => {
      const plain = isPlain(text, offset, match.length)
      this.#places.push({ name, filter, plain })
      // A variable that is not set has no value that a message could show.
      if (environment[name]) this.#names.add(name)
      return `${this.#mark}x${this.#places.length - 1}x`
    })
  }

  /** A message with the variables' values taken out again: it may repeat what it refuses. */
  conceal(message: string): string {
    return [...this.#names].reduce((text, name) => {
      const value = this.#environment[name]
      return value ? text.replaceAll(value, `\${{ env "${name}" }}`) : text
    }, message)
  }

  /** @param report Called with the name of each variable that is missing or is not what it is to be. */
  resolve(text: string, report: (error: string) => void): unknown {
    if (!text.includes(this.#mark)) return text
    const mark = new RegExp(`${this.#mark}x(\\d+)x`, 'g')
    const whole = new RegExp(`^${mark.source}$`).exec(text)
    const find = (index: string) => {
      const place = this.#places[Number(index)] as TextPlace
      const value = this.#environment[place.name]
      if (value === undefined) report(`environment variable ${place.name} is not set`)
      return { ...place, value: value ?? '' }
    }
    if (!whole) return text.replace(mark, (_, index: string) => find(index).value)
    const { name, filter, plain, value } = find(whole[1] ?? '')
    const converted = filter || plain ? convert(value, filter) : value
    if (converted === undefined) report(`environment variable ${name} is not fit for ${filter}`)
    return converted
  }
}

/** Characters beside a reference that may be white space. */
const NEAR = 100

function isPlain(text: string, offset: number, length: number): boolean {
  // Of a line no more than is looked at: a document of one line may have 100,000 references.
  const before = text.slice(Math.max(0, offset - NEAR), offset)
  const after = text.slice(offset + length, offset + length + NEAR)
  return /[:-][^\S\n]+$/.test(before) && /^[^\S\n]*(?:#|\n|$)/.test(after)
}

/** Without a filter: what YAML makes of a text without quotes. Undefined where a filter finds nothing. */
function convert(value: string, filter: string | undefined): unknown {
  const isBoolean = value === 'true' || value === 'false'
  const isNumber = /^[-+]?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(value)
  if (filter === 'toBool') return isBoolean ? value === 'true' : undefined
  if (filter === 'toInt') return isNumber && !value.includes('.') ? Number(value) : undefined
  if (filter === 'toFloat') return isNumber ? Number(value) : undefined
  if (isBoolean) return value === 'true'
  return isNumber ? Number(value) : value
}
