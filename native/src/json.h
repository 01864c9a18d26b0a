// Encodes bytes as JSON, with the bytes of src/records/encode.ts.
#pragma once

#include <stdint.h>

#include <string_view>

#include "output.h"

namespace frames {

// Writes text as a JSON string, like JSON.stringify. Returns false and writes nothing if the text is not
// valid UTF-8.
bool AppendString(Output& out, std::string_view text);

// Writes text that is JSON unchanged, but for spaces in place of line ends. Returns false and writes
// nothing if JSON.parse would refuse the text or it is not valid UTF-8.
bool AppendJson(Output& out, std::string_view text);

// Writes bytes as base64 in quotes.
void AppendBase64(Output& out, std::string_view bytes);

// Writes the nearest double as JavaScript prints it, in at most kNumberLength bytes. Returns their end.
constexpr size_t kNumberLength = 24;
char* WriteNumber(char* to, int64_t number);

}  // namespace frames
