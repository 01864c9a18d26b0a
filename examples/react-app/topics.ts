/** The topics of the app. The server validates their records by these schemas, and the page is typed by them. */
import * as v from 'valibot'

/** An event of the demo shop: all have a type, a customer and a time, and orders a total. */
const ShopEvent = v.object({
  type: v.string(),
  customer: v.string(),
  at: v.pipe(v.string(), v.isoTimestamp()),
  total: v.optional(v.number()),
})

export const topics = { shop: ShopEvent }
