// @ts-check
/**
 * The element with an id, which the page has.
 * @param {string} id
 */
export function byId(id) {
  return /** @type {any} */ (document.getElementById(id))
}

/**
 * An element with its content. Text stays text: records are never read as HTML.
 * @param {string} name
 * @param {Record<string, string | undefined>} attributes
 * @param {...(Node | string)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading

/**
 * Copies a text, and reports that in the page.
 * @param {string} text
 * @param {string} what
 */
export async function copy(text, what) {
  const toast = byId('toast')
  try {
    await navigator.clipboard.writeText(text)
    toast.textContent = `${what} copied`
  } catch {
    // Without TLS, browsers give pages a clipboard only if they come from this machine.
    toast.textContent = `Cannot copy: ${text}`
  }
  toast.classList.add('shown')
  clearTimeout(fading)
  fading = setTimeout(() => toast.classList.remove('shown'), 2_500)
}

/**
 * Calls a function repeatedly, some time after each answer, and only while the page is visible.
 * @param {number} interval Milliseconds.
 * @param {() => Promise<void>} work
 * @param {AbortSignal} [signal] Ends that.
 */
export async function every(interval, work, signal) {
  while (!signal?.aborted) {
    if (!document.hidden) await work()
    await new Promise((resolve) => setTimeout(resolve, interval))
  }
}
