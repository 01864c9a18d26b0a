/** The parameter `start`: an end, a time, or a duration back from now. */

const ISO_DURATION =
  /^-P(?=.)(?:(\d{1,9})D)?(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,3})?)S)?)?$/
const SHORT_DURATION = /^-(\d{1,9})(ms|s|m|h|d)$/
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
// RFC 3339, a time without seconds, and a date alone. A "+" that a client did not encode arrives as a space.
const TIME =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:[Zz]|([+ -])(\d\d):?(\d\d))?)?$/

/**
 * @returns Milliseconds since 1970 for a time and for a duration; undefined for a text that is
 * neither, or that names a day or a time of day that does not exist.
 */
export function parseStart(text: string): 'earliest' | 'latest' | number | undefined {
  if (text === 'earliest' || text === 'latest') return text
  const at = parseDuration(text) ?? parseTime(text)
  return at === undefined ? undefined : Math.max(0, at)
}

function parseDuration(text: string): number | undefined {
  const [, count, unit] = SHORT_DURATION.exec(text) ?? []
  if (unit) return Date.now() - Number(count) * UNITS[unit as keyof typeof UNITS]
  const iso = ISO_DURATION.exec(text)
  if (!iso) return undefined
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = iso
    .slice(1)
    .map((part) => Number(part ?? 0))
  const back = days * UNITS.d + hours * UNITS.h + minutes * UNITS.m + seconds * UNITS.s
  return Date.now() - back
}

/** Parses a time. Without a zone it is UTC, as in Kafka's own tools. */
function parseTime(text: string): number | undefined {
  const found = TIME.exec(text)
  if (!found) return undefined
  const [, date, time = '00:00', seconds = '00', fraction = '', sign, zoneHours, zoneMinutes] =
    found
  const plain = `${date}T${time}:${seconds}`
  const at = Date.parse(`${plain}Z`)
  // JavaScript reads February 30 as March 2, and each engine has its own idea of hour 24.
  if (!Number.isFinite(at) || new Date(at).toISOString().slice(0, -5) !== plain) return undefined
  if (Number(zoneHours ?? 0) > 23 || Number(zoneMinutes ?? 0) > 59) return undefined
  const zone = Number(zoneHours ?? 0) * UNITS.h + Number(zoneMinutes ?? 0) * UNITS.m
  // Kafka's timestamps are whole milliseconds: round up to the first one that is not before the time.
  const milliseconds = Math.ceil(Number(fraction.padEnd(9, '0')) / 1e6)
  return at + milliseconds - (sign === '-' ? -zone : zone)
}
