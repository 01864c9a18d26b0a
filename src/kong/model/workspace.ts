/** The only workspace, under the id that Kong gives it without a database. */
export const WORKSPACE = {
  id: '0dc6f45b-8f8d-40d2-a504-473544ee190b',
  name: 'default',
} as const
