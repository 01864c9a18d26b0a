// A growing buffer from malloc, so that JavaScript can take over its bytes. JavaScript gets the places of
// records in it as numbers of 32 bits, so a buffer that would have 4 GiB or more throws std::length_error.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace frames {

class Output {
 public:
  Output() = default;
  ~Output() { free(data_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  Output(Output&& other) noexcept { *this = std::move(other); }
  Output& operator=(Output&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  size_t size() const { return size_; }
  const char* data() const { return data_; }

  // Returns a pointer for a number of further bytes; Written() then sets where they end.
  char* Room(size_t bytes) {
    if (capacity_ - size_ < bytes) Grow(bytes);
    return data_ + size_;
  }
  void Written(const char* end) { size_ = static_cast<size_t>(end - data_); }
  void Truncate(size_t size) { size_ = size; }

  void Append(const char* data, size_t length) {
    if (length == 0) return;
    memcpy(Room(length), data, length);
    size_ += length;
  }
  void Append(std::string_view text) { Append(text.data(), text.size()); }

  // The caller frees the returned memory.
  char* Release() {
    if (void* fitting = realloc(data_, size_ ? size_ : 1)) data_ = static_cast<char*>(fitting);
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

 private:
  void Grow(size_t bytes) {
    if (bytes > UINT32_MAX - size_) throw std::length_error("encoded records exceed 4 GiB");
    const size_t wanted = (size_ + bytes > 2 * capacity_) ? size_ + bytes : 2 * capacity_;
    void* grown = realloc(data_, wanted);
    if (!grown) throw std::bad_alloc();
    data_ = static_cast<char*>(grown);
    capacity_ = wanted;
  }

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace frames
