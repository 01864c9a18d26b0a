/** The identity of a page for caches. */
export interface PageIdentity {
  /** The version of the topics and of the route that a next page's address names. */
  readonly version: string
  /** The validator of the page: weak, since another node may divide records into pages otherwise. */
  readonly etag: string
  /** Whether the request names this version, so that its address never gives another page. */
  readonly isVersioned: boolean
}
