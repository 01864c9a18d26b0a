// Reads a group's records as a block of bytes on another thread, and makes JSON of ranges of such blocks.
//
// Routes with different options share a member of a group, so a record's form is known only when a client
// polls it. Until then it stays as Kafka has it. A read can make JSON in the form of earlier polls at once:
// a poll in that form copies it.
#include "record_reader.h"

#include <nan.h>

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consume.h"
#include "frame.h"
#include "packed.h"
#include "results.h"

namespace frames {

namespace {

// A run of records of one partition, or its end, in the order in which the client gave them.
struct Event {
  size_t topic;
  int32_t partition;
  bool is_end;
  size_t begin;    // Index of the first record.
  size_t end;      // Index after the last record.
  int64_t offset;  // The offset of the end, where is_end is true.
};

// The form of the JSON that a read makes at once, from each record's offset on.
struct ReadyForm {
  bool values_are_json = false;
  std::string separator;  // after each record
};

class BlockRead : public MessageSink {
 public:
  BlockRead(Limits limits, std::optional<ReadyForm> ready_form)
      : limits_(limits), ready_form_(std::move(ready_form)) {}

  Output packed;
  std::vector<double> offsets;
  std::vector<uint32_t> starts{0};
  // Texts in the ready form, and where each begins; the last one ends where the next one would begin.
  Output texts;
  std::vector<uint32_t> text_starts{0};
  std::vector<Event> events;
  std::vector<std::string> topics;
  // Indexes of records whose offset does not follow that of the record before in their partition.
  std::vector<uint32_t> jumps;
  ReadEnd result;

  void Run(NodeKafka::KafkaConsumer& consumer) { result = Consume(consumer, limits_, *this); }

  size_t records() const override { return offsets.size(); }
  size_t bytes() const override { return packed.size(); }

  void Begin(rd_kafka_t*) override {}

  void AddRecord(rd_kafka_message_t& message) override {
    const size_t index = offsets.size();
    if (!GoesOn(message)) events.push_back(EventOf(message, false));
    const auto offset = static_cast<double>(message.offset);
    if (events.back().begin < index && offset != offsets.back() + 1) {
      jumps.push_back(static_cast<uint32_t>(index));
    }
    FindHeaders(message, headers_);
    rd_kafka_timestamp_type_t type;
    const Record record = {.offset = message.offset,
                           .timestamp = rd_kafka_message_timestamp(&message, &type),
                           .key = BytesOf(message.key, message.key_len),
                           .value = BytesOf(message.payload, message.len),
                           .headers = headers_};
    Pack(packed, record);
    if (ready_form_) AppendReady(record, packed.size() - starts.back());
    offsets.push_back(offset);
    starts.push_back(static_cast<uint32_t>(packed.size()));
    events.back().end = index + 1;
  }

  void AddEnd(const rd_kafka_message_t& message) override {
    if (message.rkt) events.push_back(EventOf(message, true));
  }

 private:
  bool GoesOn(const rd_kafka_message_t& message) const {
    return !events.empty() && !events.back().is_end && message.rkt == topic_ &&
           message.partition == events.back().partition;
  }

  // A record that is larger than a read makes no small answer: its text stays empty.
  void AppendReady(const Record& record, size_t size) {
    if (size <= limits_.bytes) {
      AppendBody(texts, record, ready_form_->values_are_json);
      texts.Append(ready_form_->separator);
    }
    text_starts.push_back(static_cast<uint32_t>(texts.size()));
  }

  Event EventOf(const rd_kafka_message_t& message, bool is_end) {
    if (message.rkt != topic_) {
      topic_ = message.rkt;
      topics.emplace_back(rd_kafka_topic_name(message.rkt));
    }
    return {.topic = topics.size() - 1,
            .partition = message.partition,
            .is_end = is_end,
            .begin = offsets.size(),
            .end = offsets.size(),
            .offset = message.offset};
  }

  Limits limits_;
  std::optional<ReadyForm> ready_form_;
  rd_kafka_topic_t* topic_ = nullptr;
  std::vector<Header> headers_;
};

class BlockReadWorker : public Nan::AsyncWorker {
 public:
  BlockReadWorker(Nan::Callback* done, v8::Local<v8::Object> client,
                  NodeKafka::KafkaConsumer& consumer, Limits limits,
                  std::optional<ReadyForm> ready_form)
      : AsyncWorker(done),
        client_(client),
        consumer_(consumer),
        read_(limits, std::move(ready_form)) {}
  ~BlockReadWorker() override { client_.Reset(); }

  void Execute() override {
    try {
      read_.Run(consumer_);
    } catch (const std::bad_alloc&) {
      SetErrorMessage("out of memory");
    } catch (const std::exception& exception) {
      SetErrorMessage(exception.what());
    }
  }

 protected:
  // Calls done(error, bytes, places, count, jumps, events, topics, isDrained, texts, textStarts). An error
  // may come with records.
  void HandleOKCallback() override {
    Output places;
    AppendAll(places, read_.offsets);
    AppendAll(places, read_.starts);
    std::vector<double> events;
    for (const Event& event : read_.events) {
      events.insert(events.end(), {static_cast<double>(event.topic),
                                   static_cast<double>(event.partition),
                                   event.is_end ? -1 : static_cast<double>(event.begin),
                                   static_cast<double>(event.is_end ? event.offset
                                                                    : static_cast<int64_t>(event.end))});
    }
    const auto topics = Nan::New<v8::Array>();
    for (size_t i = 0; i < read_.topics.size(); i++) {
      Nan::Set(topics, static_cast<uint32_t>(i), Nan::New(read_.topics[i]).ToLocalChecked());
    }
    v8::Local<v8::Value> error = Nan::Null();
    if (read_.result.error != RdKafka::ERR_NO_ERROR) {
      error = NodeKafka::RdKafkaError(read_.result.error);
    }
    v8::Local<v8::Value> results[] = {
        error,
        v8::Local<v8::Value>(BufferOf(read_.packed)),
        v8::Local<v8::Value>(BufferOf(places)),
        Nan::New(static_cast<uint32_t>(read_.offsets.size())),
        v8::Local<v8::Value>(NumbersOf(read_.jumps)),
        v8::Local<v8::Value>(NumbersOf(events)),
        topics,
        Nan::New(read_.result.is_drained),
        v8::Local<v8::Value>(BufferOf(read_.texts)),
        v8::Local<v8::Value>(NumbersOf(read_.text_starts)),
    };
    callback->Call(10, results);
  }

 private:
  Nan::Persistent<v8::Object> client_;  // Keeps the consumer from being collected.
  NodeKafka::KafkaConsumer& consumer_;
  BlockRead read_;
};

// ---- JSON

// One part of a text: bytes to be written as they are, or records of a block.
struct Part {
  std::string text;
  std::string_view packed;
  const uint32_t* starts = nullptr;
  const double* offsets = nullptr;
  size_t begin = 0;
  size_t end = 0;
  std::string separator;  // between records
};

struct Encoding {
  std::vector<Part> parts;
  bool values_are_json = false;
  bool values_only = false;
};

void AppendRecords(Output& out, const Part& part, const Encoding& encoding,
                   std::vector<Header>& headers) {
  for (size_t i = part.begin; i < part.end; i++) {
    if (i > part.begin) out.Append(part.separator);
    const auto packed = part.packed.substr(part.starts[i], part.starts[i + 1] - part.starts[i]);
    const Record record = Unpack(packed, static_cast<int64_t>(part.offsets[i]), headers);
    if (encoding.values_only && AppendValue(out, record, encoding.values_are_json)) continue;
    out.Append(part.text);
    AppendBody(out, record, encoding.values_are_json);
  }
}

Output Encode(const Encoding& encoding) {
  Output out;
  size_t expected = 0;
  for (const Part& part : encoding.parts) {
    expected += part.text.size();
    if (!part.starts || part.begin == part.end) continue;
    const size_t content = part.starts[part.end] - part.starts[part.begin];
    expected += content + content / 8 + (part.end - part.begin) * (part.text.size() + 80);
  }
  out.Room(expected);
  std::vector<Header> headers;
  for (const Part& part : encoding.parts) {
    if (part.starts) {
      AppendRecords(out, part, encoding, headers);
    } else {
      out.Append(part.text);
    }
  }
  return out;
}

template <class T>
struct TypedArray {
  T* data = nullptr;
  size_t length = 0;
};

template <class T>
TypedArray<T> ArrayOf(v8::Local<v8::Value> value, napi_typedarray_type expected) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (!host::Succeeded(napi_get_typedarray_info(host::Napi(), value.handle(), &type, &length, &data,
                                                nullptr, nullptr)) ||
      type != expected) {
    throw host::EmptyHandle();
  }
  return {static_cast<T*>(data), length};
}

size_t IndexOf(v8::Local<v8::Value> value) { return Nan::To<uint32_t>(value).FromJust(); }

std::string TextOf(v8::Local<v8::Value> value) { return *Nan::Utf8String(value); }

// A text, or seven values for records: bytes, starts, offsets, begin, end, prefix, separator.
constexpr uint32_t kRecordValues = 7;

std::vector<Part> PartsOf(v8::Local<v8::Array> values) {
  std::vector<Part> parts;
  const uint32_t count = values->Length();
  const auto at = [&values](uint32_t index) { return Nan::Get(values, index).ToLocalChecked(); };
  for (uint32_t i = 0; i < count;) {
    Part part;
    const auto first = at(i);
    if (first->IsString()) {
      part.text = TextOf(first);
      i++;
    } else {
      const auto bytes = ArrayOf<char>(first, napi_uint8_array);
      const auto starts = ArrayOf<uint32_t>(at(i + 1), napi_uint32_array);
      const auto offsets = ArrayOf<double>(at(i + 2), napi_float64_array);
      part.packed = {bytes.data, bytes.length};
      part.starts = starts.data;
      part.offsets = offsets.data;
      part.begin = IndexOf(at(i + 3));
      part.end = IndexOf(at(i + 4));
      part.text = TextOf(at(i + 5));
      part.separator = TextOf(at(i + 6));
      if (part.begin > part.end || part.end > offsets.length || part.end >= starts.length ||
          starts.data[part.end] > bytes.length) {
        throw host::EmptyHandle();
      }
      i += kRecordValues;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

class EncodeWorker : public Nan::AsyncWorker {
 public:
  EncodeWorker(Nan::Callback* done, v8::Local<v8::Object> values, Encoding encoding)
      : AsyncWorker(done), values_(values), encoding_(std::move(encoding)) {}
  ~EncodeWorker() override { values_.Reset(); }

  void Execute() override {
    try {
      encoded_ = Encode(encoding_);
    } catch (const std::exception& exception) {
      SetErrorMessage(exception.what());
    }
  }

 protected:
  // Calls done(error, bytes).
  void HandleOKCallback() override {
    v8::Local<v8::Value> results[] = {Nan::Null(), v8::Local<v8::Value>(BufferOf(encoded_))};
    callback->Call(2, results);
  }

 private:
  Nan::Persistent<v8::Object> values_;  // Keeps the blocks from being collected.
  Encoding encoding_;
  Output encoded_;
};

// ---- the class

class RecordReader : public Nan::ObjectWrap {
 public:
  static NAN_METHOD(New) {
    if (!info.IsConstructCall()) return Nan::ThrowError("RecordReader is to be called with new");
    auto* self = new RecordReader;
    self->Wrap(info.This());
    info.GetReturnValue().Set(info.This());
  }

  // read(client, records, bytes, wait, valuesAreJson, separator, done). JSON is made at once if the separator
  // is a text.
  static NAN_METHOD(StartRead) {
    const auto client = info[0].As<v8::Object>();
    auto* consumer = Unwrap<NodeKafka::KafkaConsumer>(client);
    if (!info[6]->IsFunction()) return Nan::ThrowError("read needs a callback");
    const Limits limits = {
        .records = IndexOf(info[1]),
        .bytes = IndexOf(info[2]),
        .wait = Nan::To<int32_t>(info[3]).FromJust(),
    };
    std::optional<ReadyForm> form;
    if (info[5]->IsString()) form = {Nan::To<bool>(info[4]).FromJust(), TextOf(info[5])};
    auto* done = new Nan::Callback(info[6].As<v8::Function>());
    Nan::AsyncQueueWorker(new BlockReadWorker(done, client, *consumer, limits, std::move(form)));
  }

  // encode(parts, valuesAreJson, valuesOnly): the bytes.
  // encode(parts, valuesAreJson, valuesOnly, target): the number of bytes, written to a Uint8Array that has
  // room for them; otherwise the bytes.
  // encode(parts, valuesAreJson, valuesOnly, done): the bytes are made on another thread.
  static NAN_METHOD(StartEncode) {
    Encoding encoding = {
        .parts = PartsOf(info[0].As<v8::Array>()),
        .values_are_json = Nan::To<bool>(info[1]).FromJust(),
        .values_only = Nan::To<bool>(info[2]).FromJust(),
    };
    if (info[3]->IsFunction()) {
      auto* done = new Nan::Callback(info[3].As<v8::Function>());
      Nan::AsyncQueueWorker(
          new EncodeWorker(done, info[0].As<v8::Object>(), std::move(encoding)));
      return;
    }
    Output encoded = Encode(encoding);
    if (info[3]->IsObject()) {
      const auto target = ArrayOf<char>(info[3], napi_uint8_array);
      if (encoded.size() <= target.length) {
        memcpy(target.data, encoded.data(), encoded.size());
        info.GetReturnValue().Set(Nan::New(static_cast<uint32_t>(encoded.size())));
        return;
      }
    }
    info.GetReturnValue().Set(v8::Local<v8::Value>(BufferOf(encoded)));
  }
};

}  // namespace

void InitializeRecordReader(v8::Local<v8::Object> exports) {
  auto definition = Nan::New<v8::FunctionTemplate>(RecordReader::New);
  const auto name = Nan::New("RecordReader").ToLocalChecked();
  definition->SetClassName(name);
  Nan::SetPrototypeMethod(definition, "read", RecordReader::StartRead);
  Nan::SetPrototypeMethod(definition, "encode", RecordReader::StartEncode);
  Nan::Set(exports, name, Nan::GetFunction(definition).ToLocalChecked());
}

}  // namespace frames
