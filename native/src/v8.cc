#include <math.h>
#include <nan.h>

namespace v8 {

napi_valuetype Value::Type() const {
  napi_valuetype type = napi_undefined;
  if (handle) napi_typeof(host::Napi(), handle, &type);
  return type;
}

bool Value::IsObject() const {
  const napi_valuetype type = Type();
  return type == napi_object || type == napi_function || type == napi_external;
}

bool Value::IsArray() const {
  bool is_array = false;
  if (handle) napi_is_array(host::Napi(), handle, &is_array);
  return is_array;
}

bool Value::IsIntegerBetween(double low, double high) const {
  double number = 0;
  if (!IsNumber() || napi_get_value_double(host::Napi(), handle, &number) != napi_ok) return false;
  const bool is_negative_zero = number == 0 && signbit(number);
  return number >= low && number <= high && number == floor(number) && !is_negative_zero;
}

bool Value::IsInt32() const { return IsIntegerBetween(INT32_MIN, INT32_MAX); }

bool Value::IsUint32() const { return IsIntegerBetween(0, UINT32_MAX); }

bool Value::IsRegExp() const {
  napi_value global = nullptr;
  napi_value constructor = nullptr;
  bool is_regexp = false;
  return IsObject() && host::Succeeded(napi_get_global(host::Napi(), &global)) &&
         host::Succeeded(napi_get_named_property(host::Napi(), global, "RegExp", &constructor)) &&
         host::Succeeded(napi_instanceof(host::Napi(), handle, constructor, &is_regexp)) &&
         is_regexp;
}

MaybeLocal<Object> Value::ToObject(Local<Context>) const {
  return Nan::To<Object>(Local<Value>(handle));
}

Maybe<int32_t> Value::Int32Value(Local<Context>) const {
  return Nan::To<int32_t>(Local<Value>(handle));
}

Maybe<uint32_t> Value::Uint32Value(Local<Context>) const {
  return Nan::To<uint32_t>(Local<Value>(handle));
}

Local<BigInt> BigInt::New(Isolate*, int64_t value) {
  napi_value bigint = nullptr;
  host::Succeeded(napi_create_bigint_int64(host::Napi(), value, &bigint));
  return Local<BigInt>(bigint);
}

MaybeLocal<Array> Object::GetOwnPropertyNames(Local<Context>) const {
  const auto filter = static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols);
  napi_value names = nullptr;
  if (!host::Succeeded(napi_get_all_property_names(host::Napi(), handle, napi_key_own_only, filter,
                                                   napi_key_keep_numbers, &names))) {
    return {};
  }
  return Local<Array>(names);
}

uint32_t Array::Length() const {
  uint32_t length = 0;
  if (handle) napi_get_array_length(host::Napi(), handle, &length);
  return length;
}

Local<String> RegExp::GetSource() const {
  napi_value source = nullptr;
  host::Succeeded(napi_get_named_property(host::Napi(), handle, "source", &source));
  return Local<String>(source);
}

}  // namespace v8
