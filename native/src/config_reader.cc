// Asks Kafka for the configuration of a topic, which the client's own admin functions lack.
#include "config_reader.h"

#include <nan.h>

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consume.h"
#include "rdkafka.h"

namespace frames {

namespace {

struct Deleter {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_ConfigResource_t* it) const { rd_kafka_ConfigResource_destroy(it); }
  void operator()(rd_kafka_AdminOptions_t* it) const { rd_kafka_AdminOptions_destroy(it); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

struct Setting {
  std::string name;
  std::optional<std::string> value;  // Empty where the value is secret.
  bool is_default;
};

struct Configuration {
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;
  std::vector<Setting> settings;
};

RdKafka::ErrorCode CodeOf(rd_kafka_resp_err_t error) { return static_cast<RdKafka::ErrorCode>(error); }

void AppendSettings(const rd_kafka_ConfigResource_t* topic, std::vector<Setting>& settings) {
  size_t count = 0;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(topic, &count);
  for (size_t i = 0; i < count; i++) {
    const rd_kafka_ConfigEntry_t* entry = entries[i];
    const char* value = rd_kafka_ConfigEntry_value(entry);
    const bool is_secret = rd_kafka_ConfigEntry_is_sensitive(entry) == 1;
    settings.push_back({
        .name = rd_kafka_ConfigEntry_name(entry),
        .value = is_secret || !value ? std::nullopt : std::optional<std::string>(value),
        .is_default = rd_kafka_ConfigEntry_source(entry) !=
                      RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG,
    });
  }
}

// Waits for the answer, at most as long as the timeout.
Configuration Describe(rd_kafka_t* kafka, const std::string& topic, int timeout) {
  const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(kafka));
  const Owned<rd_kafka_AdminOptions_t> options(
      rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  char reason[256];
  if (rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout, reason, sizeof reason) !=
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    return {.error = RdKafka::ERR__INVALID_ARG, .settings = {}};
  }
  const Owned<rd_kafka_ConfigResource_t> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  if (!resource) return {.error = RdKafka::ERR__INVALID_ARG, .settings = {}};
  rd_kafka_ConfigResource_t* asked[] = {resource.get()};
  rd_kafka_DescribeConfigs(kafka, asked, 1, options.get(), queue.get());
  // The client answers a request that took too long by an event of its own.
  const Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue.get(), timeout + 1'000));
  if (!event) return {.error = RdKafka::ERR__TIMED_OUT, .settings = {}};
  Configuration found{.error = CodeOf(rd_kafka_event_error(event.get())), .settings = {}};
  const auto* result = rd_kafka_event_DescribeConfigs_result(event.get());
  if (found.error != RdKafka::ERR_NO_ERROR || !result) return found;
  size_t count = 0;
  const rd_kafka_ConfigResource_t** topics =
      rd_kafka_DescribeConfigs_result_resources(result, &count);
  for (size_t i = 0; i < count; i++) {
    found.error = CodeOf(rd_kafka_ConfigResource_error(topics[i]));
    if (found.error != RdKafka::ERR_NO_ERROR) return found;
    AppendSettings(topics[i], found.settings);
  }
  return found;
}

class DescribeWorker : public Nan::AsyncWorker {
 public:
  DescribeWorker(Nan::Callback* done, v8::Local<v8::Object> client,
                 NodeKafka::KafkaConsumer& consumer, std::string topic, int timeout)
      : AsyncWorker(done),
        client_(client),
        consumer_(consumer),
        topic_(std::move(topic)),
        timeout_(timeout) {}
  ~DescribeWorker() override { client_.Reset(); }

  void Execute() override {
    try {
      const bool was_connected = WhileConnected(consumer_, [this](rd_kafka_t* kafka) {
        found_ = Describe(kafka, topic_, timeout_);
      });
      if (!was_connected) found_.error = RdKafka::ERR__STATE;
    } catch (const std::bad_alloc&) {
      SetErrorMessage("out of memory");
    }
  }

 protected:
  // Calls done(error, settings). `settings` has three values for each setting in turn: its name, its value or
  // null, and whether the value is a default.
  void HandleOKCallback() override {
    const auto settings = Nan::New<v8::Array>();
    uint32_t at = 0;
    for (const Setting& setting : found_.settings) {
      Nan::Set(settings, at++, Nan::New(setting.name).ToLocalChecked());
      if (setting.value) {
        Nan::Set(settings, at++, Nan::New(*setting.value).ToLocalChecked());
      } else {
        Nan::Set(settings, at++, Nan::Null());
      }
      Nan::Set(settings, at++, Nan::New(setting.is_default));
    }
    v8::Local<v8::Value> error = Nan::Null();
    if (found_.error != RdKafka::ERR_NO_ERROR) error = NodeKafka::RdKafkaError(found_.error);
    v8::Local<v8::Value> results[] = {error, settings};
    callback->Call(2, results);
  }

 private:
  Nan::Persistent<v8::Object> client_;  // Keeps the consumer from being collected.
  NodeKafka::KafkaConsumer& consumer_;
  std::string topic_;
  int timeout_;
  Configuration found_;
};

// describeTopicConfiguration(client, topic, timeout, done)
NAN_METHOD(DescribeTopicConfiguration) {
  const auto client = info[0].As<v8::Object>();
  auto* consumer = Nan::ObjectWrap::Unwrap<NodeKafka::KafkaConsumer>(client);
  if (!info[3]->IsFunction()) {
    return Nan::ThrowError("describeTopicConfiguration needs a callback");
  }
  auto* done = new Nan::Callback(info[3].As<v8::Function>());
  Nan::AsyncQueueWorker(new DescribeWorker(done, client, *consumer, *Nan::Utf8String(info[1]),
                                           Nan::To<int32_t>(info[2]).FromJust()));
}

}  // namespace

void InitializeConfigReader(v8::Local<v8::Object> exports) {
  const auto definition = Nan::New<v8::FunctionTemplate>(DescribeTopicConfiguration);
  Nan::Set(exports, Nan::New("describeTopicConfiguration").ToLocalChecked(),
           Nan::GetFunction(definition).ToLocalChecked());
}

}  // namespace frames
