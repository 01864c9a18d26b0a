// Reads and encodes records on another thread; JavaScript gets the bytes.
//
// The client's own reads create objects for every record on JavaScript's thread. These reads cost that
// thread equally little for any number of records.
#include "frame_reader.h"

#include <nan.h>

#include <exception>
#include <memory>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arguments.h"
#include "consume.h"
#include "frame.h"
#include "results.h"

namespace frames {

namespace {

// The encoding of a subscription's records. It does not change, so any thread may read it.
struct Plan {
  // The texts around a record's JSON and the cursor that follows it.
  std::string before_json;
  std::string before_cursor;
  std::string after_cursor;
  std::unordered_map<std::string, std::unordered_map<int32_t, size_t>> places;
  std::vector<std::string> topics;
  std::vector<int32_t> partitions;
  // The labels within the text of a cursor; empty for records without cursors.
  std::vector<std::string> labels;
  bool is_compact = false;
  std::vector<std::string> prefixes;  // The beginning of a record's JSON, up to its offset.
  bool values_are_json = false;
};

struct End {
  size_t index;
  int64_t offset;
};

// A partition goes on at another offset than the expected one, before the record at `at`. JavaScript
// decides whether records are lost by that (kafka/consumer/gaps.ts).
struct Jump {
  size_t at;
  size_t index;
  double from;
  double to;
  double low;  // The first offset that the partition keeps.
};

// One read and its result.
class Read : public MessageSink {
 public:
  Read(std::shared_ptr<const Plan> plan, std::vector<double> from, Limits limits)
      : plan_(std::move(plan)),
        limits_(limits),
        due_(from),
        cursor_(plan_->labels, plan_->is_compact, std::move(from)) {}

  Output encoded;
  double timestamp = -1;  // The timestamp of the first record.
  std::vector<double> offsets;
  std::vector<uint32_t> starts{0};
  std::vector<uint32_t> json_ends;
  std::vector<uint32_t> partitions;
  std::vector<End> ends;
  std::vector<Jump> jumps;
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;

  const std::vector<double>& to() const { return cursor_.vector(); }

  void Run(NodeKafka::KafkaConsumer& consumer) { error = Consume(consumer, limits_, *this).error; }

  size_t records() const override { return offsets.size(); }
  size_t bytes() const override { return encoded.size(); }

  void Begin(rd_kafka_t* kafka) override { kafka_ = kafka; }

  void AddRecord(rd_kafka_message_t& message) override {
    if (!Find(message)) return;
    const auto offset = static_cast<double>(message.offset);
    if (offset != due_[index_]) AddJump(offset);
    due_[index_] = offset + 1;
    cursor_.Set(index_, offset + 1);
    encoded.Append(plan_->before_json);
    encoded.Append(plan_->prefixes[index_]);
    FindHeaders(message, headers_);
    rd_kafka_timestamp_type_t type;
    const int64_t created = rd_kafka_message_timestamp(&message, &type);
    if (offsets.empty()) timestamp = static_cast<double>(created);
    AppendBody(encoded,
               {.offset = message.offset,
                .timestamp = created,
                .key = BytesOf(message.key, message.key_len),
                .value = BytesOf(message.payload, message.len),
                .headers = headers_},
               plan_->values_are_json);
    json_ends.push_back(static_cast<uint32_t>(encoded.size()));
    encoded.Append(plan_->before_cursor);
    encoded.Append(cursor_.text());
    encoded.Append(plan_->after_cursor);
    starts.push_back(static_cast<uint32_t>(encoded.size()));
    offsets.push_back(offset);
    partitions.push_back(static_cast<uint32_t>(index_));
  }

  // The end may lie behind offsets without records for us, as those of a transaction's control records:
  // these offsets are not expected any more.
  void AddEnd(const rd_kafka_message_t& message) override {
    if (!Find(message)) return;
    const auto offset = static_cast<double>(message.offset);
    if (offset > due_[index_]) {
      AddJump(offset);
      due_[index_] = offset;
    }
    ends.push_back({index_, message.offset});
  }

 private:
  // Sets index_. Consecutive records are mostly of one partition.
  bool Find(const rd_kafka_message_t& message) {
    if (message.rkt && message.rkt == topic_ && message.partition == partition_) return true;
    if (!message.rkt) return false;
    const auto topic = plan_->places.find(rd_kafka_topic_name(message.rkt));
    if (topic == plan_->places.end()) return false;
    const auto place = topic->second.find(message.partition);
    if (place == topic->second.end()) return false;
    topic_ = message.rkt;
    partition_ = message.partition;
    index_ = place->second;
    return true;
  }

  void AddJump(double offset) {
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_get_watermark_offsets(kafka_, plan_->topics[index_].c_str(), partition_, &low, &high);
    jumps.push_back({offsets.size(), index_, due_[index_], offset, static_cast<double>(low)});
  }

  std::shared_ptr<const Plan> plan_;
  Limits limits_;
  std::vector<double> due_;  // The next offset of each partition.
  Cursor cursor_;
  rd_kafka_t* kafka_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  int32_t partition_ = -1;
  size_t index_ = 0;
  std::vector<Header> headers_;
};

// ---- results

class ReadWorker : public Nan::AsyncWorker {
 public:
  ReadWorker(Nan::Callback* done, v8::Local<v8::Object> client,
             NodeKafka::KafkaConsumer& consumer, std::unique_ptr<Read> read)
      : AsyncWorker(done), client_(client), consumer_(consumer), read_(std::move(read)) {}
  ~ReadWorker() override { client_.Reset(); }

  void Execute() override {
    try {
      read_->Run(consumer_);
    } catch (const std::bad_alloc&) {
      SetErrorMessage("out of memory");
    } catch (const std::exception& exception) {
      SetErrorMessage(exception.what());
    }
  }

 protected:
  // Calls done(error, bytes, places, count, ends, jumps). An error may come with records.
  void HandleOKCallback() override {
    Read& read = *read_;
    std::vector<double> ends;
    for (const auto& [index, offset] : read.ends) {
      ends.insert(ends.end(), {static_cast<double>(index), static_cast<double>(offset)});
    }
    std::vector<double> jumps;
    for (const auto& [at, index, from, to, low] : read.jumps) {
      jumps.insert(jumps.end(),
                   {static_cast<double>(at), static_cast<double>(index), from, to, low});
    }
    Output places;
    AppendAll(places, std::vector<double>{read.timestamp});
    AppendAll(places, read.offsets);
    AppendAll(places, read.to());
    AppendAll(places, read.starts);
    AppendAll(places, read.json_ends);
    AppendAll(places, read.partitions);
    v8::Local<v8::Value> error = Nan::Null();
    if (read.error != RdKafka::ERR_NO_ERROR) error = NodeKafka::RdKafkaError(read.error);
    v8::Local<v8::Value> results[] = {
        error,
        v8::Local<v8::Value>(BufferOf(read.encoded)),
        v8::Local<v8::Value>(BufferOf(places)),
        Nan::New(static_cast<uint32_t>(read.offsets.size())),
        v8::Local<v8::Value>(NumbersOf(ends)),
        v8::Local<v8::Value>(NumbersOf(jumps)),
    };
    callback->Call(6, results);
  }

 private:
  Nan::Persistent<v8::Object> client_;  // Keeps the consumer from being collected.
  NodeKafka::KafkaConsumer& consumer_;
  std::unique_ptr<Read> read_;
};

// ---- the class

std::vector<double> Doubles(v8::Local<v8::Value> value, size_t expected) {
  std::vector<double> numbers = DoublesIn(value);
  if (numbers.size() != expected) throw host::EmptyHandle();
  return numbers;
}

class LayoutReader : public Nan::ObjectWrap {
 public:
  // new LayoutReader([beforeJson, beforeCursor, afterCursor], topics, partitions, labels, isCompact,
  //                  prefixes, valuesAreJson)
  static NAN_METHOD(New) {
    if (!info.IsConstructCall()) return Nan::ThrowError("LayoutReader is to be called with new");
    auto plan = std::make_shared<Plan>();
    const std::vector<std::string> layout = StringsIn(info[0]);
    if (layout.size() != 3) return Nan::ThrowError("LayoutReader needs a layout of three texts");
    plan->before_json = layout[0];
    plan->before_cursor = layout[1];
    plan->after_cursor = layout[2];
    plan->topics = StringsIn(info[1]);
    const size_t count = plan->topics.size();
    for (const double partition : Doubles(info[2], count)) {
      plan->partitions.push_back(static_cast<int32_t>(partition));
    }
    plan->labels = StringsIn(info[3]);
    plan->is_compact = Nan::To<bool>(info[4]).FromJust();
    plan->prefixes = StringsIn(info[5]);
    plan->values_are_json = Nan::To<bool>(info[6]).FromJust();
    const bool has_labels = plan->labels.size() == count || plan->labels.empty();
    const bool has_first = !plan->is_compact || plan->labels.empty() || !plan->labels[0].empty();
    if (!has_labels || !has_first || plan->prefixes.size() != count) {
      return Nan::ThrowError("LayoutReader needs a prefix for each partition, and a label or none");
    }
    for (size_t i = 0; i < count; i++) {
      plan->places[plan->topics[i]][plan->partitions[i]] = i;
    }
    auto* self = new LayoutReader;
    self->plan_ = std::move(plan);
    self->Wrap(info.This());
    info.GetReturnValue().Set(info.This());
  }

  // read(client, from, records, bytes, wait, done)
  static NAN_METHOD(StartRead) {
    const auto* self = Unwrap<LayoutReader>(info.This());
    const auto client = info[0].As<v8::Object>();
    auto* consumer = Unwrap<NodeKafka::KafkaConsumer>(client);
    if (!info[5]->IsFunction()) return Nan::ThrowError("read needs a callback");
    const Limits limits = {
        .records = Nan::To<uint32_t>(info[2]).FromJust(),
        .bytes = Nan::To<uint32_t>(info[3]).FromJust(),
        .wait = Nan::To<int32_t>(info[4]).FromJust(),
    };
    auto read = std::make_unique<Read>(self->plan_, Doubles(info[1], self->plan_->topics.size()),
                                       limits);
    auto* done = new Nan::Callback(info[5].As<v8::Function>());
    Nan::AsyncQueueWorker(new ReadWorker(done, client, *consumer, std::move(read)));
  }

 private:
  std::shared_ptr<const Plan> plan_;
};

}  // namespace

void Initialize(v8::Local<v8::Object> exports) {
  auto definition = Nan::New<v8::FunctionTemplate>(LayoutReader::New);
  const auto name = Nan::New("LayoutReader").ToLocalChecked();
  definition->SetClassName(name);
  Nan::SetPrototypeMethod(definition, "read", LayoutReader::StartRead);
  Nan::Set(exports, name, Nan::GetFunction(definition).ToLocalChecked());
}

}  // namespace frames
