// Takes messages from one of the client's consumers, outside of the JavaScript thread.
#pragma once

#include <stdint.h>

#include <functional>
#include <vector>

#include "frame.h"
#include "rdkafka.h"
#include "src/kafka-consumer.h"

namespace frames {

struct Limits {
  size_t records;
  size_t bytes;
  int wait;  // milliseconds, for a first message
};

// Takes the messages of one read.
class MessageSink {
 public:
  virtual ~MessageSink() = default;
  // Consume() calls this once, before the first message.
  virtual void Begin(rd_kafka_t* kafka) = 0;
  virtual void AddRecord(rd_kafka_message_t& message) = 0;
  // The client has reached the end of a partition, which lies at the message's offset.
  virtual void AddEnd(const rd_kafka_message_t& message) = 0;
  // The number of records so far, and of their bytes.
  virtual size_t records() const = 0;
  virtual size_t bytes() const = 0;
};

struct ReadEnd {
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;
  // Whether all fetched messages were taken: neither a limit nor an error ended the read.
  bool is_drained = false;
};

// Waits for a first message, then takes the messages that have been fetched. Callbacks of the consumer,
// as for a change of its group's members, are served meanwhile.
ReadEnd Consume(NodeKafka::KafkaConsumer& consumer, const Limits& limits, MessageSink& sink);

// Calls with the client's handle, which is not closed meanwhile. Returns whether the consumer is connected.
bool WhileConnected(NodeKafka::KafkaConsumer& consumer,
                    const std::function<void(rd_kafka_t*)>& call);

Bytes BytesOf(const void* data, size_t length);

// Replaces `headers` by those of a message.
void FindHeaders(const rd_kafka_message_t& message, std::vector<Header>& headers);

}  // namespace frames
