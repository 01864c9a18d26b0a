// Decodes UTF-8 as the Encoding Standard does (https://encoding.spec.whatwg.org/#utf-8-decoder).
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>

namespace frames {

// Returns the length of the non-ASCII character that begins here; 0 if it is not valid UTF-8.
inline size_t CharacterLength(const unsigned char* at, const unsigned char* end) {
  const auto left = static_cast<size_t>(end - at);
  const auto continues = [at](size_t index) { return (at[index] & 0xc0) == 0x80; };
  const unsigned char first = at[0];
  if (first < 0xc2) return 0;
  if (first < 0xe0) return left >= 2 && continues(1) ? 2 : 0;
  if (first < 0xf0) {
    if (left < 3 || !continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && at[1] < 0xa0) return 0;   // overlong
    if (first == 0xed && at[1] >= 0xa0) return 0;  // half of a surrogate pair
    return 3;
  }
  if (first > 0xf4 || left < 4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if (first == 0xf0 && at[1] < 0x90) return 0;   // overlong
  if (first == 0xf4 && at[1] >= 0x90) return 0;  // beyond U+10FFFF
  return 4;
}

bool IsUtf8(std::string_view text);

// Returns the text with U+FFFD for each maximal part that is not valid UTF-8.
std::string ReplaceInvalid(std::string_view text);

}  // namespace frames
