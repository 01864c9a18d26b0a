// @ts-check
const whole = new Intl.NumberFormat('en')
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

/** @param {number} value */
export function count(value) {
  return whole.format(value)
}

/** @param {number} value */
export function rate(value) {
  return value >= 10_000 ? compact.format(value) : short.format(value)
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** @param {number} value */
export function bytes(value) {
  let unit = 0
  let left = value
  for (; left >= 1_000 && unit < UNITS.length - 1; unit++) left /= 1_000
  return value === 0 ? '0' : `${rate(left >= 100 ? Math.round(left) : left)} ${UNITS[unit]}`
}

/** A size in bytes, exact up to some kilobytes. @param {number} value */
export function byteCount(value) {
  if (value < 10_000) return value === 1 ? '1 byte' : `${count(value)} bytes`
  return bytes(value)
}

/** @param {number} value In seconds. */
export function duration(value) {
  if (value === 0) return '0'
  if (value < 0.01) return `${short.format(value * 1_000)} ms`
  if (value < 1) return `${Math.round(value * 1_000)} ms`
  return `${short.format(value)} s`
}

/** @param {number} milliseconds A time for which something is kept, such as a topic's `retention.ms`. */
export function period(milliseconds) {
  const [unit, length] =
    PERIODS.find(([, least]) => milliseconds >= least) ?? /** @type {const} */ (['s', 1_000])
  const number = milliseconds / length
  return `${short.format(number)} ${unit === 'days' && number === 1 ? 'day' : unit}`
}

const PERIODS = /** @type {const} */ ([
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
])

/** The newest time that a `Date` can hold, in milliseconds since 1970. */
const MAX_TIME = 8.64e15

/**
 * A timestamp as ISO 8601; undefined for -1, which means no timestamp, and for numbers beyond all dates,
 * such as the nanoseconds of some producers.
 * @param {number} timestamp Milliseconds since 1970.
 */
export function isoTime(timestamp) {
  const isTime = timestamp >= 0 && timestamp <= MAX_TIME
  return isTime ? new Date(timestamp).toISOString() : undefined
}

/**
 * A timestamp as date and time of this place, as in `2026-01-31 09:30:00.500`.
 * @param {number} timestamp Milliseconds since 1970.
 */
export function localTime(timestamp) {
  if (isoTime(timestamp) === undefined) return '–'
  const time = new Date(timestamp)
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0')
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
  return `${date} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}`
}

/**
 * How long ago a time was.
 * @param {number} timestamp Milliseconds since 1970.
 */
export function ago(timestamp) {
  const seconds = Math.round((Date.now() - timestamp) / 1_000)
  if (seconds < 0) return 'in the future'
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`
  return seconds < 129_600
    ? `${Math.round(seconds / 3_600)} h ago`
    : `${Math.round(seconds / 86_400)} d ago`
}

/**
 * Quotes a text as one word for a POSIX shell.
 * @param {string} text
 */
export function shellWord(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
