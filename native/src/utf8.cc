#include "utf8.h"

namespace frames {

namespace {

const unsigned char* Begin(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Counts the bytes that begin a character before a byte that does not continue it.
size_t BrokenLength(const unsigned char* at, const unsigned char* end) {
  const unsigned char first = at[0];
  if (first < 0xc2 || first > 0xf4) return 1;
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  size_t count = 1;
  while (count < length && at + count < end && at[count] >= low && at[count] <= high) {
    count++;
    low = 0x80;
    high = 0xbf;
  }
  return count;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  const unsigned char* at = Begin(text);
  const unsigned char* const end = at + text.size();
  while (at < end) {
    const size_t length = *at < 0x80 ? 1 : CharacterLength(at, end);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string ReplaceInvalid(std::string_view text) {
  std::string result;
  const unsigned char* at = Begin(text);
  const unsigned char* const end = at + text.size();
  while (at < end) {
    size_t length = *at < 0x80 ? 1 : CharacterLength(at, end);
    if (length > 0) {
      result.append(reinterpret_cast<const char*>(at), length);
    } else {
      length = BrokenLength(at, end);
      result += "\xef\xbf\xbd";
    }
    at += length;
  }
  return result;
}

}  // namespace frames
