/** The options of error messages for HTTP clients. */
import * as v from 'valibot'
import { record } from './fields.ts'

export const errorHandling = v.pipe(
  v.optional(
    v.pipe(
      record({
        returnErrorMessage: v.pipe(
          v.optional(v.boolean('returnErrorMessage must be true or false'), false),
          v.description("Whether the Kafka client's own words are in answers, as `detail`"),
        ),
      }),
      v.title('ErrorHandlingOptions'),
      v.description('The content of error answers.'),
    ),
    {},
  ),
  v.description("`returnErrorMessage` shows the Kafka client's own words to HTTP clients"),
)
