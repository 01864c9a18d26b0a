/** The message for a URL that is not trusted. */
export const TRUSTED_URL_FORM = 'an https URL is required, or an http one of this machine'

/** Allows plain HTTP within this machine only: on a network an attacker could replace the keys. */
export function isTrustedUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  return protocol === 'https:' || (protocol === 'http:' && isHere)
}
