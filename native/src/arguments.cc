#include "arguments.h"

#include <nan.h>

namespace frames {

namespace {

// The host does not say which argument has another type, and neither does the error.
template <class T>
std::vector<T> NumbersIn(v8::Local<v8::Value> array, napi_typedarray_type expected) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (!host::Succeeded(napi_get_typedarray_info(host::Napi(), array.handle(), &type, &length, &data,
                                                nullptr, nullptr)) ||
      type != expected) {
    throw host::EmptyHandle();
  }
  const auto* numbers = static_cast<const T*>(data);
  return {numbers, numbers + length};
}

}  // namespace

std::vector<std::string> StringsIn(v8::Local<v8::Value> array) {
  const auto texts = array.As<v8::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < texts->Length(); i++) {
    const Nan::Utf8String text(Nan::Get(texts, i).ToLocalChecked());
    strings.emplace_back(*text);
  }
  return strings;
}

std::vector<double> DoublesIn(v8::Local<v8::Value> array) {
  return NumbersIn<double>(array, napi_float64_array);
}

std::vector<int32_t> IntegersIn(v8::Local<v8::Value> array) {
  return NumbersIn<int32_t>(array, napi_int32_array);
}

}  // namespace frames
