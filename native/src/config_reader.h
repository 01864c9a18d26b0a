// Reads of the configuration of topics, as JavaScript sees them.
#pragma once

#include <v8.h>

namespace frames {

// Adds the function describeTopicConfiguration to the addon's exports; kafka/cluster/topics.ts uses it.
void InitializeConfigReader(v8::Local<v8::Object> exports);

}  // namespace frames
