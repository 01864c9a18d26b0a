// @ts-check
/** Shows the document beside this page. Swagger UI has put itself on the window. */
const { SwaggerUIBundle } = /** @type {any} */ (globalThis)
SwaggerUIBundle({
  url: document.documentElement.dataset['document'],
  domNode: document.getElementById('docs'),
  deepLinking: true,
  // Its validator is somebody else's server.
  validatorUrl: null,
})
