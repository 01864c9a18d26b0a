#include <node.h>
#include <node_buffer.h>

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "config_reader.h"
#include "frame_reader.h"
#include "record_reader.h"
#include "size_reader.h"

namespace node {

namespace {

// librdkafka has a dozen threads, and frees memory in another thread than it was allocated in. By default
// glibc gives each thread an arena, and each arena keeps the holes that this leaves: a gateway whose
// clients came and went held 900 MiB after half an hour, of which 60 MiB were in use. Two arenas have
// few holes.
void ShareArenas() {
#ifdef __GLIBC__
  if (!std::getenv("MALLOC_ARENA_MAX")) mallopt(M_ARENA_MAX, 2);
#endif
}

}  // namespace

napi_value RegisterModule(napi_env napi, napi_value exports, Init init) {
  ShareArenas();
  auto* environment = new host::Environment(napi);
  if (!environment->Initialize()) {
    napi_throw_error(napi, nullptr, "Cannot load the Kafka client: no thread-safe function");
    return nullptr;
  }
  host::Entry entry(environment);
  entry.Guard([&] {
    init(v8::Local<v8::Object>(exports), v8::Local<v8::Value>(), nullptr);
    frames::Initialize(v8::Local<v8::Object>(exports));
    frames::InitializeRecordReader(v8::Local<v8::Object>(exports));
    frames::InitializeConfigReader(v8::Local<v8::Object>(exports));
    frames::InitializeSizeReader(v8::Local<v8::Object>(exports));
  });
  return entry.Throw() ? nullptr : exports;
}

void DefineConstant(v8::Local<v8::Object> target, const char* name, double value) {
  napi_property_descriptor property = {};
  property.utf8name = name;
  property.value = Nan::New(value).handle();
  property.attributes = napi_enumerable;
  host::Succeeded(napi_define_properties(host::Napi(), target.handle(), 1, &property));
}

namespace Buffer {

namespace {

struct Span {
  void* data = nullptr;
  size_t length = 0;
};

Span Content(v8::Local<v8::Value> buffer) {
  Span span;
  host::Succeeded(napi_get_buffer_info(host::Napi(), buffer.handle(), &span.data, &span.length));
  return span;
}

}  // namespace

bool HasInstance(v8::Local<v8::Value> value) {
  if (value->IsNull()) return true;
  bool is_buffer = false;
  return value->IsObject() &&
         host::Succeeded(napi_is_buffer(host::Napi(), value.handle(), &is_buffer)) && is_buffer;
}

char* Data(v8::Local<v8::Value> buffer) {
  static char empty;
  if (buffer->IsNull()) return nullptr;
  const Span span = Content(buffer);
  return span.length == 0 ? &empty : static_cast<char*>(span.data);
}

size_t Length(v8::Local<v8::Value> buffer) {
  return buffer->IsNull() ? 0 : Content(buffer).length;
}

}  // namespace Buffer
}  // namespace node
