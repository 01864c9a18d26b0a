import { KafkaConsumeError } from '../core/errors.ts'

/**
 * Checks the handlers that a program without types gives to a page, which would fail with its first request.
 *
 * @param page The function that makes the page, for the message.
 * @param method A method that each handler has.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names the path.
 */
export function assertHandlers(page: string, handlers: unknown, method: string): void {
  if (typeof handlers !== 'object' || handlers === null) {
    throw invalid(page, 'an object with a handler for each path is required')
  }
  for (const [path, given] of Object.entries(handlers)) {
    for (const handler of [given].flat()) {
      if (typeof handler?.[method] === 'function') continue
      throw invalid(page, `${path}: a handler that has ${method}() is required, as of kafkaConsume`)
    }
  }
}

function invalid(page: string, state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_OPTIONS', `Cannot use these ${page} handlers: ${state}`)
}
