#include "consume.h"

#include <algorithm>
#include <memory>

// Added by native/header-names.ts, since names may contain a byte 0.
extern "C" size_t rd_kafka_header_name_size(const char* name);

namespace frames {

namespace {

// Holds the client's lock while the consumer is used, as the client's own reads do, so that the consumer
// is not closed meanwhile.
class Connection : NodeKafka::KafkaConsumer {
 public:
  static uv_rwlock_t& LockOf(NodeKafka::KafkaConsumer& consumer) {
    return consumer.*(&Connection::m_connection_lock);
  }
};

struct QueueDeleter {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
struct MessageDeleter {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};
using Queue = std::unique_ptr<rd_kafka_queue_t, QueueDeleter>;
using Message = std::unique_ptr<rd_kafka_message_t, MessageDeleter>;

constexpr size_t kMaxStep = 256;

// How many more records fit, by the mean size of those so far.
size_t Wanted(const MessageSink& sink, const Limits& limits, size_t step) {
  const size_t count = sink.records();
  if (count >= limits.records || sink.bytes() >= limits.bytes) return 0;
  size_t wanted = std::min(step, limits.records - count);
  if (count > 0) {
    const size_t average = sink.bytes() / count + 1;
    wanted = std::min(wanted, (limits.bytes - sink.bytes()) / average + 1);
  }
  return wanted;
}

size_t Take(rd_kafka_queue_t* queue, int wait, size_t wanted, MessageSink& sink,
            RdKafka::ErrorCode& error) {
  rd_kafka_message_t* taken[kMaxStep];
  const ssize_t count = rd_kafka_consume_batch_queue(queue, wait, taken, wanted);
  if (count <= 0) return 0;
  std::vector<Message> messages;
  messages.reserve(static_cast<size_t>(count));
  for (ssize_t i = 0; i < count; i++) messages.emplace_back(taken[i]);
  for (const Message& message : messages) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      sink.AddRecord(*message);
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      sink.AddEnd(*message);
    } else if (error == RdKafka::ERR_NO_ERROR) {
      error = static_cast<RdKafka::ErrorCode>(message->err);
    }
  }
  return static_cast<size_t>(count);
}

}  // namespace

ReadEnd Consume(NodeKafka::KafkaConsumer& consumer, const Limits& limits, MessageSink& sink) {
  NodeKafka::scoped_shared_read_lock lock(Connection::LockOf(consumer));
  ReadEnd end;
  if (!consumer.IsConnected()) return {.error = RdKafka::ERR__STATE};
  rd_kafka_t* const kafka = consumer.GetClient()->c_ptr();
  const Queue queue(rd_kafka_queue_get_consumer(kafka));
  if (!queue) return {.error = RdKafka::ERR__STATE};
  sink.Begin(kafka);
  // Waits for a first record, then takes fetched records in growing steps: the size of records is known
  // only then, and a consumed record cannot be put back.
  int wait = limits.wait;
  for (size_t step = 1; consumer.IsConnected(); step = step < kMaxStep ? step * 2 : kMaxStep) {
    const size_t wanted = Wanted(sink, limits, step);
    if (wanted == 0) break;
    if (Take(queue.get(), wait, wanted, sink, end.error) == 0) {
      end.is_drained = true;
      break;
    }
    if (end.error != RdKafka::ERR_NO_ERROR) break;
    wait = 0;
  }
  return end;
}

bool WhileConnected(NodeKafka::KafkaConsumer& consumer,
                    const std::function<void(rd_kafka_t*)>& call) {
  NodeKafka::scoped_shared_read_lock lock(Connection::LockOf(consumer));
  if (!consumer.IsConnected()) return false;
  call(consumer.GetClient()->c_ptr());
  return true;
}

Bytes BytesOf(const void* data, size_t length) {
  if (!data) return std::nullopt;
  return std::string_view(static_cast<const char*>(data), length);
}

void FindHeaders(const rd_kafka_message_t& message, std::vector<Header>& headers) {
  headers.clear();
  rd_kafka_headers_t* list = nullptr;
  if (rd_kafka_message_headers(&message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t length = 0;
  for (size_t i = 0; rd_kafka_header_get_all(list, i, &name, &value, &length) ==
                     RD_KAFKA_RESP_ERR_NO_ERROR;
       i++) {
    headers.push_back({{name, rd_kafka_header_name_size(name)}, BytesOf(value, length)});
  }
}

}  // namespace frames
