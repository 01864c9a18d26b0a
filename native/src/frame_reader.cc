// Reads and encodes records on another thread; JavaScript gets the bytes.
//
// The client's own reads create objects for every record on JavaScript's thread. These reads cost that
// thread equally little for any number of records.
#include "frame_reader.h"

#include <nan.h>

#include <memory>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frame.h"
#include "rdkafka.h"
#include "src/kafka-consumer.h"

// Added by native/header-names.ts, since names may contain a byte 0.
extern "C" size_t rd_kafka_header_name_size(const char* name);

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
  std::vector<std::string> labels;    // within the text of a cursor
  std::vector<std::string> prefixes;  // of a record's JSON, up to its offset
  bool values_are_json = false;
};

struct Limits {
  size_t records;
  size_t bytes;
  int wait;  // milliseconds, for a first record
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
  double low;  // the first offset that the partition keeps
};

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

// One read and its result.
class Read {
 public:
  Read(std::shared_ptr<const Plan> plan, std::vector<double> from, Limits limits)
      : plan_(std::move(plan)),
        limits_(limits),
        due_(from),
        cursor_(plan_->labels, std::move(from)) {}

  Output bytes;
  double timestamp = -1;  // The first record's.
  std::vector<double> offsets;
  std::vector<uint32_t> starts{0};
  std::vector<uint32_t> json_ends;
  std::vector<uint32_t> partitions;
  std::vector<End> ends;
  std::vector<Jump> jumps;
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;

  const std::vector<double>& to() const { return cursor_.vector(); }

  void Run(NodeKafka::KafkaConsumer& consumer) {
    NodeKafka::scoped_shared_read_lock lock(Connection::LockOf(consumer));
    if (!consumer.IsConnected()) {
      error = RdKafka::ERR__STATE;
      return;
    }
    kafka_ = consumer.GetClient()->c_ptr();
    const Queue queue(rd_kafka_queue_get_consumer(kafka_));
    if (!queue) {
      error = RdKafka::ERR__STATE;
      return;
    }
    // Waits for a first record, then takes fetched records in growing steps: the size of records is known
    // only then, and a consumed record cannot be put back.
    int wait = limits_.wait;
    for (size_t step = 1; consumer.IsConnected(); step = step < kMaxStep ? step * 2 : kMaxStep) {
      const size_t wanted = Wanted(step);
      if (wanted == 0 || Take(queue.get(), wait, wanted) == 0) return;
      if (error != RdKafka::ERR_NO_ERROR) return;
      wait = 0;
    }
  }

 private:
  static constexpr size_t kMaxStep = 256;

  // How many more records fit, by the mean size of those so far.
  size_t Wanted(size_t step) const {
    const size_t count = offsets.size();
    if (count >= limits_.records || bytes.size() >= limits_.bytes) return 0;
    size_t wanted = std::min(step, limits_.records - count);
    if (count > 0) {
      const size_t average = bytes.size() / count + 1;
      wanted = std::min(wanted, (limits_.bytes - bytes.size()) / average + 1);
    }
    return wanted;
  }

  size_t Take(rd_kafka_queue_t* queue, int wait, size_t wanted) {
    rd_kafka_message_t* taken[kMaxStep];
    const ssize_t count = rd_kafka_consume_batch_queue(queue, wait, taken, wanted);
    if (count <= 0) return 0;
    std::vector<Message> messages;
    messages.reserve(static_cast<size_t>(count));
    for (ssize_t i = 0; i < count; i++) messages.emplace_back(taken[i]);
    for (const Message& message : messages) {
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        AddFrame(*message);
      } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (Find(*message)) AddEnd(message->offset);
      } else if (error == RdKafka::ERR_NO_ERROR) {
        error = static_cast<RdKafka::ErrorCode>(message->err);
      }
    }
    return static_cast<size_t>(count);
  }

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

  void AddFrame(rd_kafka_message_t& message) {
    if (!Find(message)) return;
    const auto offset = static_cast<double>(message.offset);
    if (offset != due_[index_]) AddJump(offset);
    due_[index_] = offset + 1;
    cursor_.Set(index_, offset + 1);
    bytes.Append(plan_->before_json);
    bytes.Append(plan_->prefixes[index_]);
    FindHeaders(message);
    rd_kafka_timestamp_type_t type;
    const int64_t created = rd_kafka_message_timestamp(&message, &type);
    if (offsets.empty()) timestamp = static_cast<double>(created);
    AppendBody(bytes,
               {.offset = message.offset,
                .timestamp = created,
                .key = BytesOf(message.key, message.key_len),
                .value = BytesOf(message.payload, message.len),
                .headers = headers_},
               plan_->values_are_json);
    json_ends.push_back(static_cast<uint32_t>(bytes.size()));
    bytes.Append(plan_->before_cursor);
    bytes.Append(cursor_.text());
    bytes.Append(plan_->after_cursor);
    starts.push_back(static_cast<uint32_t>(bytes.size()));
    offsets.push_back(offset);
    partitions.push_back(static_cast<uint32_t>(index_));
  }

  static Bytes BytesOf(const void* data, size_t length) {
    if (!data) return std::nullopt;
    return std::string_view(static_cast<const char*>(data), length);
  }

  void FindHeaders(const rd_kafka_message_t& message) {
    headers_.clear();
    rd_kafka_headers_t* list = nullptr;
    if (rd_kafka_message_headers(&message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t length = 0;
    for (size_t i = 0; rd_kafka_header_get_all(list, i, &name, &value, &length) ==
                       RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
      headers_.push_back({{name, rd_kafka_header_name_size(name)}, BytesOf(value, length)});
    }
  }

  // The end may lie behind offsets without records for us, as those of a transaction's control records:
  // these offsets are not expected any more.
  void AddEnd(int64_t end) {
    const auto offset = static_cast<double>(end);
    if (offset > due_[index_]) {
      AddJump(offset);
      due_[index_] = offset;
    }
    ends.push_back({index_, end});
  }

  void AddJump(double offset) {
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_get_watermark_offsets(kafka_, plan_->topics[index_].c_str(), partition_, &low, &high);
    jumps.push_back({offsets.size(), index_, due_[index_], offset, static_cast<double>(low)});
  }

  std::shared_ptr<const Plan> plan_;
  Limits limits_;
  std::vector<double> due_;  // the next offset of each partition
  Cursor cursor_;
  rd_kafka_t* kafka_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  int32_t partition_ = -1;
  size_t index_ = 0;
  std::vector<Header> headers_;
};

// ---- results

// Below this size, a copy is cheaper than a finalizer that reports when the bytes are no longer used.
constexpr size_t kCopied = 16 * 1024;

napi_value CopiedBuffer(const char* data, size_t length) {
  void* copy = nullptr;
  napi_value buffer = nullptr;
  if (!host::Succeeded(napi_create_arraybuffer(host::Napi(), length, &copy, &buffer))) {
    throw host::EmptyHandle();
  }
  if (length > 0) memcpy(copy, data, length);
  return buffer;
}

napi_value BufferOf(Output& out) {
  const size_t length = out.size();
  if (length < kCopied) return CopiedBuffer(out.data(), length);
  char* const data = out.Release();
  napi_value buffer = nullptr;
  const auto release = [](napi_env, void* released, void*) { free(released); };
  if (napi_create_external_arraybuffer(host::Napi(), data, length, release, nullptr, &buffer) ==
      napi_ok) {
    return buffer;
  }
  // Not every runtime allows buffers over external memory.
  const std::unique_ptr<char, decltype(&free)> owner(data, free);
  return CopiedBuffer(data, length);
}

template <class T>
void AppendAll(Output& out, const std::vector<T>& values) {
  out.Append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

napi_value NumbersOf(const std::vector<double>& numbers) {
  Output out;
  AppendAll(out, numbers);
  return BufferOf(out);
}

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
        v8::Local<v8::Value>(BufferOf(read.bytes)),
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

std::vector<std::string> Strings(v8::Local<v8::Value> value) {
  const auto array = value.As<v8::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array->Length(); i++) {
    const Nan::Utf8String text(Nan::Get(array, i).ToLocalChecked());
    strings.emplace_back(*text);
  }
  return strings;
}

std::vector<double> Numbers(v8::Local<v8::Value> value, size_t expected) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (!host::Succeeded(napi_get_typedarray_info(host::Napi(), value.handle(), &type, &length, &data,
                                                nullptr, nullptr)) ||
      type != napi_float64_array || length != expected) {
    throw host::EmptyHandle();
  }
  const auto* numbers = static_cast<const double*>(data);
  return {numbers, numbers + length};
}

class LayoutReader : public Nan::ObjectWrap {
 public:
  // new LayoutReader([beforeJson, beforeCursor, afterCursor], topics, partitions, labels, prefixes,
  //                  valuesAreJson)
  static NAN_METHOD(New) {
    if (!info.IsConstructCall()) return Nan::ThrowError("LayoutReader is to be called with new");
    auto plan = std::make_shared<Plan>();
    const std::vector<std::string> layout = Strings(info[0]);
    if (layout.size() != 3) return Nan::ThrowError("LayoutReader needs a layout of three texts");
    plan->before_json = layout[0];
    plan->before_cursor = layout[1];
    plan->after_cursor = layout[2];
    plan->topics = Strings(info[1]);
    const size_t count = plan->topics.size();
    for (const double partition : Numbers(info[2], count)) {
      plan->partitions.push_back(static_cast<int32_t>(partition));
    }
    plan->labels = Strings(info[3]);
    plan->prefixes = Strings(info[4]);
    plan->values_are_json = Nan::To<bool>(info[5]).FromJust();
    if (plan->labels.size() != count || plan->prefixes.size() != count) {
      return Nan::ThrowError("LayoutReader needs a label and a prefix for each partition");
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
    auto read = std::make_unique<Read>(self->plan_, Numbers(info[1], self->plan_->topics.size()),
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
