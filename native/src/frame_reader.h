// Reading records as frames: what JavaScript sees of it.
#pragma once

#include <v8.h>

namespace frames {

// Adds the class LayoutReader to what the addon exports (kafka/consumer/native-encoder.ts says how it is used).
void Initialize(v8::Local<v8::Object> exports);

}  // namespace frames
