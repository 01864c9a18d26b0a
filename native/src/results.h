// Hands results of native code to JavaScript: bytes, numbers, and calls of a callback.
#pragma once

#include <nan.h>

#include <vector>

#include "output.h"

namespace frames {

// An ArrayBuffer with the bytes, which JavaScript owns from then on.
napi_value BufferOf(Output& out);

template <class T>
void AppendAll(Output& out, const std::vector<T>& values) {
  out.Append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// An ArrayBuffer with the numbers.
template <class T>
napi_value NumbersOf(const std::vector<T>& numbers) {
  Output out;
  AppendAll(out, numbers);
  return BufferOf(out);
}

}  // namespace frames
