#include <nan.h>

namespace Nan {

using host::Napi;
using host::Succeeded;

v8::Local<v8::Value> Undefined() {
  napi_value value = nullptr;
  napi_get_undefined(Napi(), &value);
  return v8::Local<v8::Value>(value);
}

v8::Local<v8::Value> Null() {
  napi_value value = nullptr;
  napi_get_null(Napi(), &value);
  return v8::Local<v8::Value>(value);
}

static v8::Local<v8::Boolean> BooleanOf(bool boolean) {
  napi_value value = nullptr;
  napi_get_boolean(Napi(), boolean, &value);
  return v8::Local<v8::Boolean>(value);
}
v8::Local<v8::Boolean> True() { return BooleanOf(true); }
v8::Local<v8::Boolean> False() { return BooleanOf(false); }

v8::Local<v8::Object> Factory<v8::Object>::New() {
  napi_value value = nullptr;
  Succeeded(napi_create_object(Napi(), &value));
  return v8::Local<v8::Object>(value);
}

v8::Local<v8::Array> Factory<v8::Array>::New() {
  napi_value value = nullptr;
  Succeeded(napi_create_array(Napi(), &value));
  return v8::Local<v8::Array>(value);
}

v8::Local<v8::Number> Factory<v8::Number>::New(double number) {
  napi_value value = nullptr;
  Succeeded(napi_create_double(Napi(), number, &value));
  return v8::Local<v8::Number>(value);
}

v8::Local<v8::Int32> Factory<v8::Int32>::New(int32_t number) {
  napi_value value = nullptr;
  Succeeded(napi_create_int32(Napi(), number, &value));
  return v8::Local<v8::Int32>(value);
}

v8::Local<v8::Uint32> Factory<v8::Uint32>::New(uint32_t number) {
  napi_value value = nullptr;
  Succeeded(napi_create_uint32(Napi(), number, &value));
  return v8::Local<v8::Uint32>(value);
}

MaybeLocal<v8::String> Factory<v8::String>::New(const char* text, size_t length) {
  napi_value value = nullptr;
  Succeeded(napi_create_string_utf8(Napi(), text ? text : "", length, &value));
  return v8::Local<v8::String>(value);
}

template <class Number>
static Maybe<Number> ToNumber(v8::Local<v8::Value> value,
                              napi_status (*get)(napi_env, napi_value, Number*)) {
  napi_value number = value.handle();
  Number result;
  const bool is_number =
      value->IsNumber() || Succeeded(napi_coerce_to_number(Napi(), value.handle(), &number));
  if (!is_number || !Succeeded(get(Napi(), number, &result))) return {};
  return Maybe<Number>(result);
}

Maybe<int32_t> Converter<int32_t>::To(v8::Local<v8::Value> value) {
  return ToNumber<int32_t>(value, napi_get_value_int32);
}

Maybe<uint32_t> Converter<uint32_t>::To(v8::Local<v8::Value> value) {
  return ToNumber<uint32_t>(value, napi_get_value_uint32);
}

Maybe<int64_t> Converter<int64_t>::To(v8::Local<v8::Value> value) {
  return ToNumber<int64_t>(value, napi_get_value_int64);
}

Maybe<double> Converter<double>::To(v8::Local<v8::Value> value) {
  return ToNumber<double>(value, napi_get_value_double);
}

Maybe<bool> Converter<bool>::To(v8::Local<v8::Value> value) {
  napi_value boolean = nullptr;
  bool result = false;
  if (!Succeeded(napi_coerce_to_bool(Napi(), value.handle(), &boolean)) ||
      !Succeeded(napi_get_value_bool(Napi(), boolean, &result))) {
    return {};
  }
  return Maybe<bool>(result);
}

MaybeLocal<v8::String> Converter<v8::String>::To(v8::Local<v8::Value> value) {
  napi_value string = value.handle();
  if (!value->IsString() && !Succeeded(napi_coerce_to_string(Napi(), value.handle(), &string))) {
    return {};
  }
  return v8::Local<v8::String>(string);
}

MaybeLocal<v8::Object> Converter<v8::Object>::To(v8::Local<v8::Value> value) {
  napi_value object = value.handle();
  if (!value->IsObject() && !Succeeded(napi_coerce_to_object(Napi(), value.handle(), &object))) {
    return {};
  }
  return v8::Local<v8::Object>(object);
}

Utf8String::Utf8String(v8::Local<v8::Value> value) {
  v8::Local<v8::String> string;
  if (!To<v8::String>(value).ToLocal(&string)) return;
  char small[4096];  // Longer texts are read twice.
  size_t length = 0;
  if (!Succeeded(
          napi_get_value_string_utf8(Napi(), string.handle(), small, sizeof small, &length))) {
    return;
  }
  // A string that fills the buffer up to the longest character may have been cut.
  if (length < sizeof small - 4) {
    text_.assign(small, length);
    return;
  }
  napi_get_value_string_utf8(Napi(), string.handle(), nullptr, 0, &length);
  text_.resize(length + 1);
  napi_get_value_string_utf8(Napi(), string.handle(), text_.data(), length + 1, &length);
  text_.resize(length);
}

Maybe<bool> Set(v8::Local<v8::Object> object, v8::Local<v8::Value> key,
                v8::Local<v8::Value> value) {
  if (!Succeeded(napi_set_property(Napi(), object.handle(), key.handle(), value.handle()))) {
    return {};
  }
  return Maybe<bool>(true);
}

Maybe<bool> Set(v8::Local<v8::Object> object, uint32_t index, v8::Local<v8::Value> value) {
  if (!Succeeded(napi_set_element(Napi(), object.handle(), index, value.handle()))) return {};
  return Maybe<bool>(true);
}

MaybeLocal<v8::Value> Get(v8::Local<v8::Object> object, v8::Local<v8::Value> key) {
  napi_value value = nullptr;
  if (!Succeeded(napi_get_property(Napi(), object.handle(), key.handle(), &value))) return {};
  return v8::Local<v8::Value>(value);
}

MaybeLocal<v8::Value> Get(v8::Local<v8::Object> object, uint32_t index) {
  napi_value value = nullptr;
  if (!Succeeded(napi_get_element(Napi(), object.handle(), index, &value))) return {};
  return v8::Local<v8::Value>(value);
}

Maybe<bool> Has(v8::Local<v8::Object> object, v8::Local<v8::String> key) {
  bool has = false;
  if (!Succeeded(napi_has_property(Napi(), object.handle(), key.handle(), &has))) return {};
  return Maybe<bool>(has);
}

v8::Local<v8::Value> Error(v8::Local<v8::String> message) {
  napi_value error = nullptr;
  Succeeded(napi_create_error(Napi(), nullptr, message.handle(), &error));
  return v8::Local<v8::Value>(error);
}

MaybeLocal<v8::Object> CopyBuffer(const char* data, size_t length) {
  napi_value buffer = nullptr;
  void* copy = nullptr;
  const napi_status status = length == 0
                                 ? napi_create_buffer(Napi(), 0, &copy, &buffer)
                                 : napi_create_buffer_copy(Napi(), length, data, &copy, &buffer);
  if (!Succeeded(status)) return {};
  return v8::Local<v8::Object>(buffer);
}

MaybeLocal<v8::Object> NewBuffer(char* data, size_t length) {
  MaybeLocal<v8::Object> buffer = CopyBuffer(data, length);
  free(data);
  return buffer;
}

}  // namespace Nan
