// Reads of the sizes of partitions on the brokers' disks, as JavaScript sees them.
#pragma once

#include <v8.h>

namespace frames {

// Adds the function describeReplicaSizes to the addon's exports; kafka/cluster/partition-sizes.ts uses it.
void InitializeSizeReader(v8::Local<v8::Object> exports);

}  // namespace frames
