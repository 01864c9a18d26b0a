// Functions and classes of C++ that JavaScript calls, and functions of JavaScript called from C++.
#include <nan.h>

#include <stdexcept>
#include <vector>

namespace {

struct Method {
  host::Environment* environment;
  Nan::FunctionCallback callback;
};

napi_value CallMethod(napi_env napi, napi_callback_info napi_info) {
  void* data = nullptr;
  napi_get_cb_info(napi, napi_info, nullptr, nullptr, nullptr, &data);
  const auto* method = static_cast<Method*>(data);
  host::Entry entry(method->environment);
  const Nan::FunctionCallbackInfo<v8::Value> info(napi_info);
  entry.Guard([&] { method->callback(info); });
  return entry.Throw() ? nullptr : info.result();
}

// The method lives as long as its function, which lives as long as the environment.
Method* NewMethod(Nan::FunctionCallback callback) {
  return new Method{host::current_environment, callback};
}

std::vector<napi_value> Handles(int count, v8::Local<v8::Value> arguments[]) {
  std::vector<napi_value> handles;
  handles.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    // The sources leave an argument empty if they have no value for it.
    const v8::Local<v8::Value> argument = arguments[i];
    handles.push_back(argument.IsEmpty() ? Nan::Undefined().handle() : argument.handle());
  }
  return handles;
}

}  // namespace

namespace v8 {

void FunctionTemplate::SetClassName(Local<String> name) {
  handle->class_name = *Nan::Utf8String(name);
}

MaybeLocal<Function> FunctionTemplate::GetFunction(Local<Context>) {
  if (handle->function) return Local<Function>(handle->function);
  Method* const method = NewMethod(handle->callback);
  if (handle->class_name.empty()) {
    host::Succeeded(
        napi_create_function(host::Napi(), nullptr, 0, CallMethod, method, &handle->function));
    return Local<Function>(handle->function);
  }
  std::vector<napi_property_descriptor> properties;
  for (const auto& [name, callback] : handle->methods) {
    napi_property_descriptor property = {};
    property.utf8name = name.c_str();
    property.method = CallMethod;
    property.attributes =
        static_cast<napi_property_attributes>(napi_writable | napi_enumerable | napi_configurable);
    property.data = NewMethod(callback);
    properties.push_back(property);
  }
  host::Succeeded(napi_define_class(host::Napi(), handle->class_name.c_str(), NAPI_AUTO_LENGTH,
                                    CallMethod, method, properties.size(), properties.data(),
                                    &handle->function));
  return Local<Function>(handle->function);
}

}  // namespace v8

namespace Nan {

v8::Local<v8::FunctionTemplate> Factory<v8::FunctionTemplate>::New(FunctionCallback callback) {
  return v8::Local<v8::FunctionTemplate>(
      new v8::FunctionTemplate::Definition{callback, {}, {}, nullptr});
}

MaybeLocal<v8::Object> NewInstance(v8::Local<v8::Function> constructor, int count,
                                   v8::Local<v8::Value> arguments[]) {
  const auto handles = Handles(count, arguments);
  napi_value instance = nullptr;
  if (!host::Succeeded(napi_new_instance(host::Napi(), constructor.handle(), handles.size(),
                                         handles.data(), &instance))) {
    return {};
  }
  return v8::Local<v8::Object>(instance);
}

// As in NAN, an exception of the function is uncaught, and the caller goes on.
v8::Local<v8::Value> Callback::Call(int count, v8::Local<v8::Value> arguments[]) const {
  if (IsEmpty()) return Undefined();
  const auto handles = Handles(count, arguments);
  napi_value global = nullptr;
  napi_value result = nullptr;
  napi_get_global(host::Napi(), &global);
  if (napi_call_function(host::Napi(), global, GetFunction().handle(), handles.size(),
                         handles.data(), &result) == napi_ok) {
    return v8::Local<v8::Value>(result);
  }
  bool pending = false;
  napi_is_exception_pending(host::Napi(), &pending);
  if (pending) {
    napi_value exception = nullptr;
    napi_get_and_clear_last_exception(host::Napi(), &exception);
    host::ReportUncaught(exception);
  }
  return Undefined();
}

}  // namespace Nan
