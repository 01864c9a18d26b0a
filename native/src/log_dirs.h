// Asks brokers for the sizes of replicas, by a request of Kafka's protocol that librdkafka lacks.
#pragma once

#include "rdkafka.h"

#ifdef __cplusplus
extern "C" {
#endif

// A question to one broker, and its answer.
typedef struct {
  int32_t broker;  // The broker's id.
  // The replicas that the broker has. The call sorts the list, and sets the offset of each replica to the
  // replica's size in bytes. The offset of a replica that the broker does not name stays as it is.
  rd_kafka_topic_partition_list_t *replicas;
  // The error that the broker answers with, or the reason for which it does not answer.
  rd_kafka_resp_err_t error;
} log_dirs_query;

// Asks all brokers at the same time, and returns once they have answered, or when the time is over.
void describe_log_dirs(rd_kafka_t *kafka, log_dirs_query *queries, int count, int timeout_ms);

#ifdef __cplusplus
}
#endif
