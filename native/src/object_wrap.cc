#include <nan.h>

namespace Nan {

void ObjectWrap::Wrap(v8::Local<v8::Object> object) {
  host::Succeeded(
      napi_wrap(host::Napi(), object.handle(), this, Finalize, host::current_environment, nullptr));
}

ObjectWrap* ObjectWrap::Wrapped(v8::Local<v8::Object> object) {
  void* wrapped = nullptr;
  napi_unwrap(host::Napi(), object.handle(), &wrapped);
  return static_cast<ObjectWrap*>(wrapped);
}

void ObjectWrap::Finalize(napi_env, void* object, void* environment_pointer) {
  auto* environment = static_cast<host::Environment*>(environment_pointer);
  // Unlike V8, Node-API finalizes all remaining objects at exit. The destructors would then wait for
  // seconds until consumers are closed, and free memory that callbacks on other threads still use.
  if (!environment->alive()) return;
  host::Entry entry(environment);
  delete static_cast<ObjectWrap*>(object);
}

}  // namespace Nan
