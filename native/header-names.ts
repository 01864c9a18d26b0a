/**
 * Makes librdkafka keep names of headers that contain a byte 0. librdkafka knows the length of a name,
 * but none of its public functions returns it. One more function does, and librdkafka's C++ layer, which
 * the client creates record objects with, uses it to copy names.
 */
import type { LibrdkafkaChange } from './librdkafka-change.ts'

const ADD = `rd_kafka_resp_err_t rd_kafka_header_add(rd_kafka_headers_t *hdrs,
`

const COPY = '      headers.push_back(Headers::Header(name, valuep, size));\n'

const HEADERS_CLASS = 'class HeadersImpl : public Headers {\n'

export const HEADER_NAMES: readonly LibrdkafkaChange[] = [
  {
    file: 'src/rdkafka_header.c',
    from: ADD,
    to: `/* name: as rd_kafka_header_get_all() gives it. */
size_t rd_kafka_header_name_size(const char *name) {
        const rd_kafka_header_t *hdr =
            (const rd_kafka_header_t *)(name -
                                        offsetof(rd_kafka_header_t, rkhdr_name));
        return hdr->rkhdr_name_size;
}

${ADD}`,
  },
  {
    file: 'src-cpp/rdkafkacpp_int.h',
    from: HEADERS_CLASS,
    to: `extern "C" size_t rd_kafka_header_name_size(const char *name);

${HEADERS_CLASS}`,
  },
  {
    file: 'src-cpp/rdkafkacpp_int.h',
    from: COPY,
    to: `      std::string copied(name, rd_kafka_header_name_size(name));
      headers.push_back(Headers::Header(copied, valuep, size));
`,
  },
]
