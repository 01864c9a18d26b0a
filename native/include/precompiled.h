// Headers that most sources of the addon include. The compiler reads them once, before each source.
#include <nan.h>
#include <node_buffer.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "rdkafkacpp.h"
#include "src/workers.h"
