/**
 * Tells by topic ids (KIP-516) whether a topic was re-created: Kafka's client reads on at the old
 * offset where the new topic has as many records.
 */
export class TopicIds {
  /** Ids that topics had before they were re-created: a broker may still answer with one of them. */
  readonly #former = new Set<string>()

  /**
   * @param known The id of the topic that has been read; undefined while it is not known.
   * @param answer The id that Kafka answers with; undefined when it answers with none.
   */
  isRecreated(known: string | undefined, answer: string | undefined): boolean {
    if (known === undefined || answer === undefined) return false
    return known !== answer && !this.isRetired(answer)
  }

  /** Whether a topic had this id before it was re-created. */
  isRetired(id: string): boolean {
    return this.#former.has(id)
  }

  /** Notes that a topic with this id is not read any more, since it was re-created. */
  retire(id: string | undefined): void {
    if (id !== undefined) this.#former.add(id)
  }
}
