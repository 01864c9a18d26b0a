// Takes arguments of JavaScript's calls.
#pragma once

#include <v8.h>

#include <cstdint>
#include <string>
#include <vector>

namespace frames {

std::vector<std::string> StringsIn(v8::Local<v8::Value> array);

// The numbers of a Float64Array.
std::vector<double> DoublesIn(v8::Local<v8::Value> array);

// The numbers of an Int32Array.
std::vector<int32_t> IntegersIn(v8::Local<v8::Value> array);

}  // namespace frames
