// Stands in for V8: the types that Confluent's sources name, on Node-API.
//
// A Local<T> is a napi_value with a C++ type. Like V8's, it lives as long as the entry into native
// code that it was made in.
#pragma once

#include <node_api.h>
#include <stdint.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../src/environment.h"

namespace Nan {
template <class T>
class FunctionCallbackInfo;
}  // namespace Nan

namespace v8 {

class Array;
class Object;
template <class T>
class Local;

// Environments are found by thread, and Node-API has no contexts: these two are only passed around.
class Isolate {
 public:
  static Isolate* GetCurrent() { return nullptr; }
};
class Context {
 public:
  napi_value handle = nullptr;
};

template <class T>
class Maybe {
 public:
  Maybe() = default;
  explicit Maybe(const T& value) : has_value_(true), value_(value) {}
  bool IsNothing() const { return !has_value_; }
  bool IsJust() const { return has_value_; }
  T FromJust() const {
    if (!has_value_) throw host::EmptyHandle();
    return value_;
  }
  T ToChecked() const { return FromJust(); }
  T FromMaybe(const T& fallback) const { return has_value_ ? value_ : fallback; }

 private:
  bool has_value_ = false;
  T value_{};
};

template <class T>
class MaybeLocal {
 public:
  MaybeLocal() = default;
  template <class S, class = std::enable_if_t<std::is_base_of_v<T, S>>>
  MaybeLocal(const Local<S>& local) : local_(local) {}
  bool IsEmpty() const { return local_.IsEmpty(); }
  template <class S>
  bool ToLocal(Local<S>* out) const {
    *out = local_;
    return !IsEmpty();
  }
  Local<T> ToLocalChecked() const {
    if (IsEmpty()) throw host::EmptyHandle();
    return local_;
  }
  template <class S>
  Local<S> FromMaybe(Local<S> fallback) const {
    return IsEmpty() ? fallback : Local<S>(local_);
  }

 private:
  Local<T> local_;
};

class Value {
 public:
  napi_value handle = nullptr;

  bool IsUndefined() const { return Type() == napi_undefined; }
  bool IsNull() const { return Type() == napi_null; }
  bool IsNullOrUndefined() const { return IsNull() || IsUndefined(); }
  bool IsString() const { return Type() == napi_string; }
  bool IsNumber() const { return Type() == napi_number; }
  bool IsBoolean() const { return Type() == napi_boolean; }
  bool IsFunction() const { return Type() == napi_function; }
  bool IsObject() const;
  bool IsArray() const;
  bool IsInt32() const;
  bool IsUint32() const;
  bool IsRegExp() const;
  MaybeLocal<Object> ToObject(Local<Context>) const;
  Maybe<int32_t> Int32Value(Local<Context>) const;
  Maybe<uint32_t> Uint32Value(Local<Context>) const;

 private:
  napi_valuetype Type() const;
  bool IsIntegerBetween(double low, double high) const;
};

class Boolean : public Value {};
class String : public Value {};
class Number : public Value {};
class Int32 : public Number {};
class Uint32 : public Number {};
class BigInt : public Value {
 public:
  static Local<BigInt> New(Isolate*, int64_t value);
};
class Object : public Value {
 public:
  MaybeLocal<Array> GetOwnPropertyNames(Local<Context>) const;
};
class Array : public Object {
 public:
  // 0 for a value that is not an array: the sources cast null to one if a message has no headers.
  uint32_t Length() const;
};
class Function : public Object {};
class RegExp : public Object {
 public:
  Local<String> GetSource() const;
};

template <class T>
class Local {
 public:
  using Handle = decltype(T::handle);

  Local() = default;
  explicit Local(Handle handle) { value_.handle = handle; }
  template <class S, class = std::enable_if_t<std::is_base_of_v<T, S>>>
  Local(const Local<S>& other) : Local(other.handle()) {}
  T* operator->() const { return const_cast<T*>(&value_); }
  T* operator*() const { return const_cast<T*>(&value_); }
  Handle handle() const { return value_.handle; }
  bool IsEmpty() const { return !value_.handle; }
  template <class S>
  Local<S> As() const {
    return Local<S>(value_.handle);
  }
  template <class S>
  static Local<T> Cast(Local<S> other) {
    return Local<T>(other.handle());
  }
  template <class S>
  bool operator==(const Local<S>& other) const {
    if (IsEmpty() || other.IsEmpty()) return IsEmpty() && other.IsEmpty();
    bool equal = false;
    napi_strict_equals(host::Napi(), handle(), other.handle(), &equal);
    return equal;
  }

 private:
  T value_;
};

// The sources declare members of this type that they do not use; they use Nan::Persistent.
template <class T>
class Persistent {};

using FunctionCallback = void (*)(const Nan::FunctionCallbackInfo<Value>&);

// Internal fields hold the pointer to the C++ object, which napi_wrap does without them.
class ObjectTemplate {
 public:
  void* handle = nullptr;
  void SetInternalFieldCount(int) {}
};

// Collects the properties that napi_define_class takes in one call.
class FunctionTemplate {
 public:
  struct Definition {
    FunctionCallback callback;
    std::string class_name;
    std::vector<std::pair<std::string, FunctionCallback>> methods;
    napi_value function = nullptr;  // used only while the addon is being loaded
  };
  Definition* handle = nullptr;  // Never freed: there are only a few.

  void SetClassName(Local<String> name);
  Local<ObjectTemplate> InstanceTemplate() { return Local<ObjectTemplate>(); }
  MaybeLocal<Function> GetFunction(Local<Context>);
};

}  // namespace v8
