#include "results.h"

#include <memory>

namespace frames {

namespace {

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

}  // namespace

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

}  // namespace frames
