// Reads of encoded records, as JavaScript sees them.
#pragma once

#include <v8.h>

namespace frames {

// Adds the class LayoutReader to the addon's exports; kafka/consumer/native-encoder.ts uses it.
void Initialize(v8::Local<v8::Object> exports);

}  // namespace frames
