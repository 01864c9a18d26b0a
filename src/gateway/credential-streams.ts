import { KafkaConsumeError } from '../core/errors.ts'
import type { KafkaClient } from '../http/request/client.ts'
import { type Credentials, isUnchanged } from '../kong/access/credentials.ts'
import { ClientStreams } from './auth/client-streams.ts'

/** The open streams of consumers: they end when their credential is changed or removed. */
export class CredentialStreams {
  readonly #streams = new ClientStreams(Infinity)
  readonly #credentials: () => Credentials

  /** @param credentials Returns the present credentials. */
  constructor(credentials: () => Credentials) {
    this.#credentials = credentials
  }

  /**
   * A client's `openStream` that also counts its streams by the credential.
   *
   * @param id The id of the credential.
   */
  opener(id: string, before: KafkaClient['openStream']): NonNullable<KafkaClient['openStream']> {
    return async (end) => {
      const closed = await before?.(end)
      // The credential may be gone since the request came.
      if (!this.#credentials().byId(id)) {
        closed?.()
        throw new KafkaConsumeError(
          'UNAUTHENTICATED',
          'Cannot open a stream: the credential is gone',
        )
      }
      const close = await this.#streams.open(id, end)
      return () => {
        close()
        closed?.()
      }
    }
  }

  /** Ends the streams whose credential is not in force any more. */
  endRevoked(previous: Credentials, next: Credentials): void {
    for (const id of this.#streams.clients()) {
      const held = next.byId(id)
      if (!held || !isUnchanged(previous.byId(id), held)) this.#streams.endAll(id)
    }
  }
}
