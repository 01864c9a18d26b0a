// Reads of a group's records as blocks of bytes, and their JSON, as JavaScript sees them.
#pragma once

#include <v8.h>

namespace frames {

// Adds the class RecordReader to the addon's exports; kafka/group/record-block.ts uses it.
void InitializeRecordReader(v8::Local<v8::Object> exports);

}  // namespace frames
