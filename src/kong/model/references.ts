/**
 * References to environment variables: `{vault://env/NAME}` in entities, `${{ env "NAME" }}` in
 * files.
 */

/** The environment variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Whether a field whose value is shown, such as a topic's name, may read a variable by a vault
 * reference. Fields that hold secrets may read any variable, since no answer shows them.
 */
export type MayShow = (variable: string) => boolean

/** A value, or an error, which never contains the value. */
type Resolved = { readonly value: string; readonly error?: undefined } | { readonly error: string }

const VAULT = /^\{vault:\/\/([^/{}?]+)\/([^/{}?]+)(?:\/([^{}?]+))?(\?[^{}]*)?\}$/

/** Whether a whole text is a vault reference: Kong does not resolve references within a text. */
export function isVaultReference(text: string): boolean {
  return text.startsWith('{vault://') && text.endsWith('}')
}

/**
 * Resolves a reference to Kong's `env` vault: `-` in a name becomes `_`, and `/key` reads a field of
 * JSON.
 */
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

/** The variable that a vault reference reads; undefined for another vault. */
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

/** Called with a text of a document, and its path there. */
type TextVisitor = (text: string, path: readonly string[]) => unknown

/** Copies a document with its texts replaced. Paths count array elements from one, as Kong does. */
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

/** decK's references in the text of a file. Inside of JSON their quotes are escaped. */
const DECK = /\$\{\{\s*env\s+(\\?["'`])([A-Za-z_]\w*)\1\s*(?:\|\s*(toInt|toFloat|toBool)\s*)?\}\}/g

interface TextPlace {
  readonly name: string
  readonly filter: string | undefined
  /**
   * Whether the reference is a YAML scalar without quotes, so that its value may become a number or
   * boolean.
   */
  readonly plain: boolean
}

/**
 * decK's references of one file. Before the file is parsed, a mark replaces each of them, since its
 * quotes may close those around it. Values are inserted after parsing, so that no value can change the
 * structure of the file.
 */
export class DeckReferences {
  /** The text of the file with a mark for each reference, to be parsed. */
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
      // Values of these variables must be concealed in messages. A variable that is not set has none.
      if (environment[name]) this.#names.add(name)
      return `${this.#mark}x${this.#places.length - 1}x`
    })
  }

  /** Whether the text has any. */
  get found(): boolean {
    return this.#places.length > 0
  }

  /**
   * Replaces values of variables in a message by their references: a message may quote what it
   * refuses.
   */
  conceal(message: string): string {
    return [...this.#names].reduce((text, name) => {
      const value = this.#environment[name]
      return value ? text.replaceAll(value, `\${{ env "${name}" }}`) : text
    }, message)
  }

  /**
   * @param report Called with an error for each variable that is not set, or that its filter cannot
   * convert.
   */
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

/** The characters before and after a reference that are searched for white space. */
const NEAR = 100

function isPlain(text: string, offset: number, length: number): boolean {
  // The search is limited, since a document of one line may have 100,000 references.
  const before = text.slice(Math.max(0, offset - NEAR), offset)
  const after = text.slice(offset + length, offset + length + NEAR)
  return /[:-][^\S\n]+$/.test(before) && /^[^\S\n]*(?:#|\n|$)/.test(after)
}

/**
 * Converts a value by a filter, or as YAML reads it without quotes. Undefined if the filter does not
 * fit.
 */
function convert(value: string, filter: string | undefined): unknown {
  const isBoolean = value === 'true' || value === 'false'
  const isNumber = /^[-+]?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(value)
  if (filter === 'toBool') return isBoolean ? value === 'true' : undefined
  if (filter === 'toInt') return isNumber && !value.includes('.') ? Number(value) : undefined
  if (filter === 'toFloat') return isNumber ? Number(value) : undefined
  if (isBoolean) return value === 'true'
  return isNumber ? Number(value) : value
}
