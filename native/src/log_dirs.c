// The request DescribeLogDirs (KIP-113, KIP-827). This file builds it as librdkafka builds its own requests,
// by librdkafka's internal headers. Each broker knows only its own replicas, as it knows only its own groups,
// so this file follows rd_kafka_list_groups().
#include "rdkafka_int.h"  // First, since it chooses what the system's headers declare.
#include "rdkafka_broker.h"
#include "rdkafka_request.h"

#include "log_dirs.h"

#define MIN_VERSION 0
#define FLEXIBLE_VERSION 2
#define ERROR_VERSION 3
#define TOTALS_VERSION 4
#define MAX_VERSION TOTALS_VERSION

typedef struct {
  log_dirs_query *queries;
  int count;
  int waiting;
} log_dirs_state;

// librdkafka calls this in the broker's thread once the broker is connected: its versions are known only then.
static rd_kafka_resp_err_t make_request(rd_kafka_broker_t *broker, rd_kafka_buf_t *request,
                                        void *replicas) {
  static const rd_kafka_topic_partition_field_t fields[] = {
      RD_KAFKA_TOPIC_PARTITION_FIELD_PARTITION, RD_KAFKA_TOPIC_PARTITION_FIELD_END};
  const int16_t version = rd_kafka_broker_ApiVersion_supported(
      broker, RD_KAFKAP_DescribeLogDirs, MIN_VERSION, MAX_VERSION, NULL);
  if (version == -1) return RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
  if (version >= FLEXIBLE_VERSION) rd_kafka_buf_upgrade_flexver_request(request);
  rd_kafka_buf_write_topic_partitions(request, replicas, rd_false /* offsets do not matter */, rd_false,
                                      rd_false /* no topic ids */, rd_true /* names */, fields);
  rd_kafka_buf_ApiVersion_set(request, version, 0);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void destroy_replicas(void *replicas) { rd_kafka_topic_partition_list_destroy(replicas); }

static void send_request(rd_kafka_broker_t *broker, const rd_kafka_topic_partition_list_t *replicas,
                         int timeout_ms, rd_kafka_replyq_t replyq, rd_kafka_resp_cb_t *on_reply,
                         void *opaque) {
  rd_kafka_buf_t *request = rd_kafka_buf_new_flexver_request(
      broker, RD_KAFKAP_DescribeLogDirs, 1, 64 + (size_t)replicas->cnt * 16, rd_false);
  rd_kafka_buf_set_abs_timeout(request, timeout_ms, 0);
  request->rkbuf_max_retries = RD_KAFKA_REQUEST_NO_RETRIES;
  // A copy, since the broker's thread may make the request after the caller has given up.
  rd_kafka_buf_set_maker(request, make_request, rd_kafka_topic_partition_list_copy(replicas),
                         destroy_replicas);
  rd_kafka_broker_buf_enq_replyq(broker, request, replyq, on_reply, opaque);
}

// Finds a replica in a list that is sorted by topic and partition; NULL if it was not asked for.
static rd_kafka_topic_partition_t *find_replica(const rd_kafka_topic_partition_list_t *replicas,
                                                const rd_kafkap_str_t *topic, int32_t partition) {
  int begin = 0, end = replicas->cnt;
  while (begin < end) {
    const int middle = begin + (end - begin) / 2;
    rd_kafka_topic_partition_t *at = &replicas->elems[middle];
    int order = rd_kafkap_str_cmp_str(topic, at->topic);
    if (order == 0) order = RD_CMP(partition, at->partition);
    if (order == 0) return at;
    if (order < 0) end = middle;
    else begin = middle + 1;
  }
  return NULL;
}

// Takes the sizes out of one log directory of the broker.
static rd_kafka_resp_err_t parse_log_dir(rd_kafka_buf_t *reply,
                                         const rd_kafka_topic_partition_list_t *replicas) {
  const int log_decode_errors = LOG_ERR;
  int16_t error;
  int32_t topics, partitions;
  rd_kafka_buf_read_i16(reply, &error);
  rd_kafka_buf_skip_str(reply); /* path */
  rd_kafka_buf_read_arraycnt(reply, &topics, RD_KAFKAP_TOPICS_MAX);
  while (topics-- > 0) {
    rd_kafkap_str_t topic;
    rd_kafka_buf_read_str(reply, &topic);
    rd_kafka_buf_read_arraycnt(reply, &partitions, RD_KAFKAP_PARTITIONS_MAX);
    while (partitions-- > 0) {
      int32_t partition;
      int64_t bytes, lag;
      rd_bool_t is_future;
      rd_kafka_buf_read_i32(reply, &partition);
      rd_kafka_buf_read_i64(reply, &bytes);
      rd_kafka_buf_read_i64(reply, &lag);
      rd_kafka_buf_read_bool(reply, &is_future);
      rd_kafka_buf_skip_tags(reply);
      // A replica that moves to another directory is in both; the copy there is not complete yet.
      rd_kafka_topic_partition_t *replica =
          is_future || RD_KAFKAP_STR_IS_NULL(&topic) ? NULL
                                                     : find_replica(replicas, &topic, partition);
      if (replica) replica->offset = bytes;
    }
    rd_kafka_buf_skip_tags(reply);
  }
  if (reply->rkbuf_reqhdr.ApiVersion >= TOTALS_VERSION) {
    int64_t total, usable;
    rd_kafka_buf_read_i64(reply, &total);
    rd_kafka_buf_read_i64(reply, &usable);
  }
  rd_kafka_buf_skip_tags(reply);
  return error;

err_parse:
  return reply->rkbuf_err;
}

static rd_kafka_resp_err_t parse_reply(rd_kafka_buf_t *reply,
                                       const rd_kafka_topic_partition_list_t *replicas) {
  const int log_decode_errors = LOG_ERR;
  rd_kafka_resp_err_t first_error = RD_KAFKA_RESP_ERR_NO_ERROR;
  int16_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  int32_t dirs;
  rd_kafka_buf_read_throttle_time(reply);
  if (reply->rkbuf_reqhdr.ApiVersion >= ERROR_VERSION) rd_kafka_buf_read_i16(reply, &error);
  if (error) return error;
  rd_kafka_buf_read_arraycnt(reply, &dirs, RD_KAFKAP_TOPICS_MAX);
  // Older brokers have no field for the error, and name no directory.
  if (dirs <= 0) return RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
  while (dirs-- > 0) {
    const rd_kafka_resp_err_t dir_error = parse_log_dir(reply, replicas);
    if (reply->rkbuf_err) return reply->rkbuf_err;
    // A directory that is offline has no topics; the replicas of others are known.
    if (!first_error) first_error = dir_error;
  }
  return first_error;

err_parse:
  return reply->rkbuf_err;
}

// librdkafka calls this in the thread that waits in describe_log_dirs(), except with the error __DESTROY.
static void handle_reply(rd_kafka_t *kafka, rd_kafka_broker_t *broker, rd_kafka_resp_err_t error,
                         rd_kafka_buf_t *reply, rd_kafka_buf_t *request, void *opaque) {
  (void)kafka;
  (void)request;
  // The caller has given up, and its state is gone.
  if (error == RD_KAFKA_RESP_ERR__DESTROY) return;
  log_dirs_state *state = opaque;
  const int32_t id = rd_kafka_broker_id(broker);
  for (int i = 0; i < state->count; i++) {
    log_dirs_query *query = &state->queries[i];
    if (query->broker != id) continue;
    query->error = error ? error : parse_reply(reply, query->replicas);
    state->waiting--;
    return;
  }
}

static rd_kafka_broker_t *find_broker(rd_kafka_t *kafka, int32_t id) {
  rd_kafka_rdlock(kafka);
  rd_kafka_broker_t *broker = rd_kafka_broker_find_by_nodeid(kafka, id);
  rd_kafka_rdunlock(kafka);
  return broker;
}

void describe_log_dirs(rd_kafka_t *kafka, log_dirs_query *queries, int count, int timeout_ms) {
  log_dirs_state state = {.queries = queries, .count = count, .waiting = 0};
  const rd_ts_t end = rd_timeout_init(timeout_ms);
  rd_kafka_q_t *replies = rd_kafka_q_new(kafka);
  for (int i = 0; i < count; i++) {
    rd_kafka_broker_t *broker = find_broker(kafka, queries[i].broker);
    queries[i].error = broker ? RD_KAFKA_RESP_ERR__TIMED_OUT : RD_KAFKA_RESP_ERR__TRANSPORT;
    if (!broker) continue;
    rd_kafka_topic_partition_list_sort(queries[i].replicas, NULL, NULL);
    send_request(broker, queries[i].replicas, timeout_ms, RD_KAFKA_REPLYQ(replies, 0), handle_reply,
                 &state);
    rd_kafka_broker_destroy(broker);
    state.waiting++;
  }
  int remains;
  while (state.waiting > 0 && !rd_timeout_expired((remains = rd_timeout_remains(end)))) {
    rd_kafka_q_serve(replies, remains, 0, RD_KAFKA_Q_CB_CALLBACK, rd_kafka_poll_cb, NULL);
  }
  // A later reply finds the queue disabled, so that handle_reply gets __DESTROY.
  rd_kafka_q_destroy_owner(replies);
}
