// Bytes as JSON, byte for byte as src/records/encode.ts makes it of them.
#pragma once

#include <stdint.h>

#include <string_view>

#include "output.h"

namespace frames {

// As JSON.stringify makes a string of the text. False, with nothing written, where it is no UTF-8.
bool AppendString(Output& out, std::string_view text);

// Text that is JSON, as it is, with spaces for line ends. False, with nothing written, where
// JSON.parse would refuse it or it is no UTF-8.
bool AppendJson(Output& out, std::string_view text);

// In quotes.
void AppendBase64(Output& out, std::string_view bytes);

// As JavaScript shows the number nearest to it, in at most kNumberLength bytes. Returns their end.
constexpr size_t kNumberLength = 24;
char* WriteNumber(char* to, int64_t number);

}  // namespace frames
