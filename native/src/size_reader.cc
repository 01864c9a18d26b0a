// Asks brokers for the sizes of their replicas, which the client's own admin functions lack.
#include "size_reader.h"

#include <nan.h>

#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "consume.h"
#include "log_dirs.h"
#include "results.h"

namespace frames {

namespace {

struct ListDeleter {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;

// The replicas whose sizes JavaScript asks for.
struct Question {
  std::vector<std::string> topics;
  // Each replica takes kFields numbers: the id of its broker, the index of its topic, its partition.
  std::vector<int32_t> replicas;
  int timeout;  // milliseconds
};

constexpr size_t kFields = 3;
constexpr double kUnknown = -1;

struct Answer {
  std::vector<double> sizes;  // The bytes of each replica.
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;  // The first error of a broker.
};

std::map<int32_t, List> ByBroker(const Question& question) {
  std::map<int32_t, List> lists;
  for (size_t i = 0; i + kFields <= question.replicas.size(); i += kFields) {
    const int32_t* const replica = &question.replicas[i];
    List& list = lists[replica[0]];
    if (!list) list.reset(rd_kafka_topic_partition_list_new(16));
    const std::string& topic = question.topics.at(static_cast<size_t>(replica[1]));
    auto* const at = rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), replica[2]);
    at->offset = static_cast<int64_t>(kUnknown);
    // The replica's place in the answer, since lists are sorted.
    at->opaque = reinterpret_cast<void*>(i / kFields);
  }
  return lists;
}

// Waits for the answers, at most as long as the timeout.
Answer Ask(rd_kafka_t* kafka, const Question& question) {
  const std::map<int32_t, List> lists = ByBroker(question);
  std::vector<log_dirs_query> queries;
  for (const auto& [broker, list] : lists) {
    queries.push_back({broker, list.get(), RD_KAFKA_RESP_ERR_NO_ERROR});
  }
  describe_log_dirs(kafka, queries.data(), static_cast<int>(queries.size()), question.timeout);
  Answer answer{.sizes = std::vector<double>(question.replicas.size() / kFields, kUnknown)};
  for (const log_dirs_query& query : queries) {
    if (answer.error == RdKafka::ERR_NO_ERROR) {
      answer.error = static_cast<RdKafka::ErrorCode>(query.error);
    }
    for (int i = 0; i < query.replicas->cnt; i++) {
      const rd_kafka_topic_partition_t& replica = query.replicas->elems[i];
      answer.sizes[reinterpret_cast<size_t>(replica.opaque)] = static_cast<double>(replica.offset);
    }
  }
  return answer;
}

class SizeWorker : public Nan::AsyncWorker {
 public:
  SizeWorker(Nan::Callback* done, v8::Local<v8::Object> client, NodeKafka::KafkaConsumer& consumer,
             Question question)
      : AsyncWorker(done),
        client_(client),
        consumer_(consumer),
        question_(std::move(question)) {}
  ~SizeWorker() override { client_.Reset(); }

  void Execute() override {
    try {
      const bool was_connected = WhileConnected(
          consumer_, [this](rd_kafka_t* kafka) { answer_ = Ask(kafka, question_); });
      if (!was_connected) answer_.error = RdKafka::ERR__STATE;
    } catch (const std::bad_alloc&) {
      SetErrorMessage("out of memory");
    }
  }

 protected:
  // Calls done(null, [sizes, error]). `sizes` is an ArrayBuffer of doubles: the bytes of each replica, or -1
  // where they are unknown. `error` is the first error of a broker, beside the sizes that other brokers told.
  void HandleOKCallback() override {
    v8::Local<v8::Value> error = Nan::Null();
    if (answer_.error != RdKafka::ERR_NO_ERROR) error = NodeKafka::RdKafkaError(answer_.error);
    const auto found = Nan::New<v8::Array>();
    Nan::Set(found, 0, v8::Local<v8::Value>(NumbersOf(answer_.sizes)));
    Nan::Set(found, 1, error);
    v8::Local<v8::Value> results[] = {Nan::Null(), found};
    callback->Call(2, results);
  }

 private:
  Nan::Persistent<v8::Object> client_;  // Keeps the consumer from being collected.
  NodeKafka::KafkaConsumer& consumer_;
  const Question question_;
  Answer answer_;
};

// describeReplicaSizes(client, topics, replicas, timeout, done): `replicas` is an Int32Array that has, for
// each replica in turn, the id of its broker, the index of its topic, and its partition.
NAN_METHOD(DescribeReplicaSizes) {
  const auto client = info[0].As<v8::Object>();
  auto* consumer = Nan::ObjectWrap::Unwrap<NodeKafka::KafkaConsumer>(client);
  if (!info[4]->IsFunction()) return Nan::ThrowError("describeReplicaSizes needs a callback");
  Question question{.topics = StringsIn(info[1]),
                    .replicas = IntegersIn(info[2]),
                    .timeout = Nan::To<int32_t>(info[3]).FromJust()};
  for (size_t i = 0; i < question.replicas.size(); i += kFields) {
    const bool is_whole = i + kFields <= question.replicas.size();
    if (!is_whole || static_cast<size_t>(question.replicas[i + 1]) >= question.topics.size()) {
      return Nan::ThrowError("describeReplicaSizes needs a broker, a topic and a partition each");
    }
  }
  auto* done = new Nan::Callback(info[4].As<v8::Function>());
  Nan::AsyncQueueWorker(new SizeWorker(done, client, *consumer, std::move(question)));
}

}  // namespace

void InitializeSizeReader(v8::Local<v8::Object> exports) {
  const auto definition = Nan::New<v8::FunctionTemplate>(DescribeReplicaSizes);
  Nan::Set(exports, Nan::New("describeReplicaSizes").ToLocalChecked(),
           Nan::GetFunction(definition).ToLocalChecked());
}

}  // namespace frames
