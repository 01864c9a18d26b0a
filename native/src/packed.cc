#include "packed.h"

#include <bit>
#include <stdexcept>

namespace frames {

namespace {

static_assert(std::endian::native == std::endian::little);

template <class T>
void AppendValue(Output& out, T value) {
  out.Append(reinterpret_cast<const char*>(&value), sizeof value);
}

int32_t LengthOf(const Bytes& bytes) { return bytes ? static_cast<int32_t>(bytes->size()) : -1; }

class Unpacking {
 public:
  explicit Unpacking(std::string_view packed) : left_(packed) {}

  template <class T>
  T Next() {
    T value;
    memcpy(&value, Take(sizeof value).data(), sizeof value);
    return value;
  }

  Bytes NextBytes(int32_t length) {
    if (length < 0) return std::nullopt;
    return Take(static_cast<size_t>(length));
  }

 private:
  std::string_view Take(size_t length) {
    if (length > left_.size()) throw std::out_of_range("a packed record is cut off");
    const std::string_view taken = left_.substr(0, length);
    left_.remove_prefix(length);
    return taken;
  }

  std::string_view left_;
};

}  // namespace

void Pack(Output& out, const Record& record) {
  AppendValue(out, record.timestamp);
  AppendValue(out, LengthOf(record.key));
  AppendValue(out, LengthOf(record.value));
  AppendValue(out, static_cast<uint32_t>(record.headers.size()));
  if (record.key) out.Append(*record.key);
  if (record.value) out.Append(*record.value);
  for (const auto& [name, value] : record.headers) {
    AppendValue(out, static_cast<uint32_t>(name.size()));
    AppendValue(out, LengthOf(value));
    out.Append(name);
    if (value) out.Append(*value);
  }
}

Record Unpack(std::string_view packed, int64_t offset, std::vector<Header>& headers) {
  Unpacking unpacking(packed);
  const auto timestamp = unpacking.Next<int64_t>();
  const auto key_length = unpacking.Next<int32_t>();
  const auto value_length = unpacking.Next<int32_t>();
  const auto header_count = unpacking.Next<uint32_t>();
  const Bytes key = unpacking.NextBytes(key_length);
  const Bytes value = unpacking.NextBytes(value_length);
  headers.clear();
  for (uint32_t i = 0; i < header_count; i++) {
    const auto name_length = unpacking.Next<uint32_t>();
    const auto header_length = unpacking.Next<int32_t>();
    const auto name = *unpacking.NextBytes(static_cast<int32_t>(name_length));
    headers.push_back({name, unpacking.NextBytes(header_length)});
  }
  return {.offset = offset, .timestamp = timestamp, .key = key, .value = value, .headers = headers};
}

}  // namespace frames
