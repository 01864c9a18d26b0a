// @ts-check
/** The view of topics: a list of all, or one with its partitions and consumer groups. */
import { openList } from './list.js'
import { openTopic } from './topic.js'

/** @typedef {import('../views.js').OpenView} OpenView */

/**
 * @param {HTMLElement} place
 * @returns {OpenView}
 */
export function openView(place) {
  /** @type {{ shows: string, open: { show(parameters: URLSearchParams): void, close(): void } } | undefined} */
  let part
  return {
    show(parameters) {
      const shows = JSON.stringify([parameters.get('topic'), parameters.get('cluster')])
      if (part?.shows !== shows) {
        part?.open.close()
        // lit-html keeps its state on the element into which it renders.
        const inner = document.createElement('div')
        inner.className = 'view'
        place.replaceChildren(inner)
        const isFirst = part === undefined
        part = { shows, open: parameters.get('topic') ? openTopic(inner) : openList(inner) }
        part.open.show(parameters)
        if (!isFirst) focusHeading(inner)
        return
      }
      part.open.show(parameters)
    },
    close: () => part?.open.close(),
    keys: [{ key: '/', text: 'search for a topic', act: () => searchField()?.focus() }],
  }
}

/** @returns {HTMLElement | null} */
function searchField() {
  return document.querySelector('#topic-search')
}

/** The link that was followed is gone: the heading tells a screen reader where it is now. @param {Element} place */
function focusHeading(place) {
  const heading = place.querySelector('h2')
  heading?.setAttribute('tabindex', '-1')
  heading?.focus()
}
