/**
 * Adds Kafka's delegation tokens (KIP-48) to librdkafka. If user and password are the id and HMAC of a
 * token, the first message of SCRAM must end in an extension that says so (RFC 5802, 5.1; Kafka's
 * `ScramExtensions`). The new property `sasl.scram.tokenauth` adds this extension.
 */
import type { LibrdkafkaChange } from './librdkafka-change.ts'

const PASSWORD_PROPERTY = `    {_RK_GLOBAL | _RK_HIGH | _RK_SENSITIVE, "sasl.password", _RK_C_STR,
     _RK(sasl.password),
     "SASL password for use with the PLAIN and SASL-SCRAM-.. mechanism"},
`

const FIRST_MESSAGE = `        out->size =
            strlen("n,,n=,r=") + strlen(sasl_username) + state->cnonce.size;
        out->ptr = rd_malloc(out->size + 1);

        rd_snprintf(out->ptr, out->size + 1, "n,,n=%s,r=%.*s", sasl_username,
                    (int)state->cnonce.size, state->cnonce.ptr);
`

/** librdkafka keeps the message as it is sent and computes the proof from it, so the proof covers the extension. */
const EXTENDED_MESSAGE = `        const char *extensions =
            conf->sasl.scram_tokenauth ? ",tokenauth=true" : "";
        out->size = strlen("n,,n=,r=") + strlen(sasl_username) +
                    state->cnonce.size + strlen(extensions);
        out->ptr = rd_malloc(out->size + 1);

        rd_snprintf(out->ptr, out->size + 1, "n,,n=%s,r=%.*s%s", sasl_username,
                    (int)state->cnonce.size, state->cnonce.ptr, extensions);
`

export const DELEGATION_TOKENS: readonly LibrdkafkaChange[] = [
  {
    file: 'src/rdkafka_conf.h',
    from: '                char *password;\n#if WITH_SASL_SCRAM\n',
    to: '                char *password;\n                int scram_tokenauth;\n#if WITH_SASL_SCRAM\n',
  },
  {
    file: 'src/rdkafka_conf.c',
    from: PASSWORD_PROPERTY,
    to: `${PASSWORD_PROPERTY}    {_RK_GLOBAL, "sasl.scram.tokenauth", _RK_C_BOOL,
     _RK(sasl.scram_tokenauth),
     "The user name and the password are a delegation token's id and HMAC.", 0,
     1, 0},
`,
  },
  { file: 'src/rdkafka_sasl_scram.c', from: FIRST_MESSAGE, to: EXTENDED_MESSAGE },
]
