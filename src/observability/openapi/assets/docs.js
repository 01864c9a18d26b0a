// @ts-check
/** Shows the document beside this page. Scalar has put itself on the window. */
const { Scalar } = /** @type {any} */ (globalThis)
Scalar.createApiReference('#docs', {
  url: document.documentElement.dataset['document'],
  // All that would ask somebody else's server.
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  defaultOpenAllTags: true,
  showDeveloperTools: 'never',
})
