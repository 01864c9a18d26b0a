// @ts-check
/** The credentials in the address with which this page was opened. Most pages have none there. */
const given = new URLSearchParams(document.documentElement.dataset['credentials'])

/** The names of the query parameters that hold credentials. */
export const credentialNames = new Set(given.keys())

/**
 * An address of this gateway, with these credentials.
 * @param {string | URL} address
 */
export function withCredentials(address) {
  const url = new URL(address, location.href)
  for (const [name, value] of given) url.searchParams.append(name, value)
  return url
}
