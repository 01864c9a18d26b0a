// The layout of records that are packed one after another, as kafka/group/record-block.ts reads it, too:
//
//   timestamp                 int64, milliseconds since 1970
//   key length, value length  int32, -1 for null
//   number of headers         uint32
//   key, value
//   for each header: name length uint32, value length int32 (-1 for null), name, value
//
// Numbers are little-endian and not aligned. The offset is not part of it.
#pragma once

#include <stdint.h>

#include <string_view>
#include <vector>

#include "frame.h"
#include "output.h"

namespace frames {

void Pack(Output& out, const Record& record);

// The record that a text holds; its headers replace those in `headers`, and it refers to both. Throws
// std::out_of_range if the text is not what Pack() has written.
Record Unpack(std::string_view packed, int64_t offset, std::vector<Header>& headers);

}  // namespace frames
