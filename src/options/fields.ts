/** The schemas of which the options' fields are made. */
import * as v from 'valibot'

/** Kafka's `group.protocol`. */
export const groupProtocol = v.picklist(
  ['classic', 'consumer'],
  'groupProtocol must be "classic" or "consumer"',
)

/** Kafka's `group.instance.id`. Kafka allows 249 characters. */
export function instanceId(max: number) {
  const message = `1 to ${max} letters, digits, dots, dashes and underscores are required`
  return v.pipe(v.string(message), v.regex(/^[\w.-]+$/, message), v.maxLength(max, message))
}

/** A whole number within a range. Its message names the unit and the range. */
export function whole(unit: string, min: number, max: number) {
  const message = `a whole number of ${unit} from ${min} to ${max} is required`
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  )
}

export const text = v.pipe(v.string('text is required'), v.minLength(1, 'it must not be empty'))

/** A secret text: the Admin API answers `***` in its place. */
export const secret = v.pipe(text, v.metadata({ secret: true }))

/** A text that Kong's configuration may read from a vault, and that is not a secret. */
export const referenceable = v.pipe(text, v.metadata({ referenceable: true }))

export const flag = v.boolean('it must be true or false')

/** One of these words; the message lists them. */
export function oneOf<const T extends readonly [string, ...string[]]>(...words: T) {
  return v.picklist(words, `it must be ${words.map((word) => `"${word}"`).join(' or ')}`)
}

/** One of these numbers; the message lists them. */
export function oneOfNumbers<const T extends readonly [number, ...number[]]>(...numbers: T) {
  return v.picklist(numbers, `it must be ${numbers.join(' or ')}`)
}

export function list<T extends v.GenericSchema>(elements: T) {
  return v.array(elements, 'an array is required')
}

/** An object of texts with names that the user chooses. */
export function map<T extends v.GenericSchema<string>>(values: T) {
  return v.record(v.string(), values, 'an object of text is required')
}

/** An object of these fields, without any other. */
export function record<const T extends v.ObjectEntries>(entries: T) {
  return v.strictObject(entries, 'an object is required')
}
