/**
 * The entry of the client's `addon.js`. It names only what librdkafka.js calls: a bundle of the whole module
 * would hold the path of the checkout, since `import.meta` has no other meaning in CommonJS.
 */
export { loadAddon } from '../../native/addon.ts'
