#include "frame.h"

#include <algorithm>
#include <list>
#include <unordered_map>
#include <utility>

#include "json.h"
#include "utf8.h"

namespace frames {

namespace {

void AppendNumber(Output& out, int64_t number) {
  out.Written(WriteNumber(out.Room(kNumberLength), number));
}

constexpr std::string_view kNotJson =
    R"(,"error":{"code":"DESERIALIZATION_FAILED","message":"Cannot deserialize the value: it is not valid JSON"})";

// A header's name and all of its values.
struct Field {
  std::string_view name;
  std::vector<Bytes> values;
};

void AppendValues(Output& out, const std::vector<Bytes>& values, bool as_base64) {
  if (values.size() > 1) out.Append("[");
  for (size_t i = 0; i < values.size(); i++) {
    if (i > 0) out.Append(",");
    if (!values[i]) {
      out.Append("null");
    } else if (as_base64) {
      AppendBase64(out, *values[i]);
    } else {
      AppendString(out, *values[i]);
    }
  }
  if (values.size() > 1) out.Append("]");
}

// Writes headers as an object, with an array for a name that occurs several times. `notes` receives the
// names whose values are base64.
void AppendHeaders(Output& out, const std::vector<Header>& headers, std::string& notes) {
  std::list<std::string> replaced;
  std::vector<Field> fields;
  std::unordered_map<std::string_view, size_t> places;
  for (auto [name, value] : headers) {
    // A name is always text, as the client decodes it.
    if (!IsUtf8(name)) name = replaced.emplace_back(ReplaceInvalid(name));
    const auto [place, is_new] = places.try_emplace(name, fields.size());
    if (is_new) fields.push_back({name, {}});
    fields[place->second].values.push_back(value);
  }
  out.Append("{");
  for (const auto& [name, values] : fields) {
    if (&name != &fields.front().name) out.Append(",");
    const size_t begin = out.size();
    AppendString(out, name);
    const std::string quoted(out.data() + begin, out.size() - begin);
    out.Append(":");
    // All values of a name have one encoding, so that a client need not guess which are base64.
    bool is_text = true;
    for (const Bytes& value : values) is_text = is_text && (!value || IsUtf8(*value));
    if (!is_text) notes += (notes.empty() ? "" : ",") + quoted + ":\"base64\"";
    AppendValues(out, values, !is_text);
  }
  out.Append("}");
}

// Writes a value as JSON. Returns false and writes nothing if its bytes must be base64.
bool AppendDecoded(Output& out, const Bytes& value, bool value_is_json) {
  if (!value) {
    out.Append("null");
    return true;
  }
  return value_is_json ? AppendJson(out, *value) : AppendString(out, *value);
}

// The base 64 of RFC 4648 section 5.
constexpr char kCompactDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// How many digits to the base 64 a number needs, at least one.
size_t DigitsOf(double number) {
  size_t digits = 1;
  for (auto rest = static_cast<uint64_t>(number) >> 6; rest > 0; rest >>= 6) digits++;
  return digits;
}

// Writes a number as so many digits to the base 64, the highest first.
void WriteCompact(char* out, double number, size_t digits) {
  auto rest = static_cast<uint64_t>(number);
  for (size_t i = digits; i > 0; i--, rest >>= 6) out[i - 1] = kCompactDigits[rest & 63];
}

// A JSON text without the white space around its value.
std::string_view WithoutSpace(std::string_view json) {
  constexpr std::string_view kSpace = " \t\n\r";
  const size_t begin = json.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return json.substr(begin, json.find_last_not_of(kSpace) + 1 - begin);
}

}  // namespace

void AppendBody(Output& out, const Record& record, bool value_is_json) {
  // Rare fields: which parts are base64, and why. Each begins with a comma.
  std::string encoding;
  std::string_view error;
  out.Append(R"("offset":)");
  AppendNumber(out, record.offset);
  out.Append(R"(,"timestamp":)");
  AppendNumber(out, record.timestamp);
  out.Append(R"(,"key":)");
  if (!record.key) {
    out.Append("null");
  } else if (!AppendString(out, *record.key)) {
    AppendBase64(out, *record.key);
    encoding += R"(,"key":"base64")";
  }
  out.Append(R"(,"value":)");
  if (!AppendDecoded(out, record.value, value_is_json)) {
    AppendBase64(out, *record.value);
    encoding += R"(,"value":"base64")";
    if (value_is_json) error = kNotJson;
  }
  out.Append(R"(,"headers":)");
  if (record.headers.empty()) {
    out.Append("{}");
  } else {
    std::string notes;
    AppendHeaders(out, record.headers, notes);
    if (!notes.empty()) encoding += R"(,"headers":{)" + notes + "}";
  }
  if (!encoding.empty()) {
    out.Append(R"(,"encoding":{)");
    out.Append(std::string_view(encoding).substr(1));
    out.Append("}");
  }
  out.Append(error);
  out.Append("}");
}

bool AppendValue(Output& out, const Record& record, bool value_is_json) {
  Bytes value = record.value;
  if (value && value_is_json) value = WithoutSpace(*value);
  if (AppendDecoded(out, value, value_is_json)) return true;
  if (value_is_json) return false;
  AppendBase64(out, *record.value);
  return true;
}

Cursor::Cursor(const std::vector<std::string>& labels, bool is_compact, std::vector<double> vector)
    : labels_(labels),
      is_compact_(is_compact),
      vector_(std::move(vector)),
      ends_(vector_.size()),
      digits_(is_compact ? vector_.size() : 0) {
  Rebuild();
}

void Cursor::Set(size_t index, double next) {
  const double before = std::exchange(vector_[index], next);
  if (labels_.empty()) return;
  const bool is_replaced =
      is_compact_ ? ReplaceCompact(index, DigitsOf(before)) : ReplaceDecimal(index);
  if (!is_replaced) Rebuild();
}

// Returns false if the number has another length.
bool Cursor::ReplaceDecimal(size_t index) {
  char digits[kNumberLength];
  const char* const end = WriteNumber(digits, static_cast<int64_t>(vector_[index]));
  const auto length = static_cast<size_t>(end - digits);
  const size_t begin = (index == 0 ? 0 : ends_[index - 1]) + labels_[index].size();
  if (ends_[index] - begin != length) return false;
  text_.replace(begin, length, digits, length);
  return true;
}

// Returns false if the numbers of the topic may need more digits, or fewer.
bool Cursor::ReplaceCompact(size_t index, size_t digits_before) {
  const size_t digits = digits_[index];
  const size_t needed = DigitsOf(vector_[index]);
  if (needed > digits || (digits_before == digits && needed < digits)) return false;
  WriteCompact(text_.data() + ends_[index] - digits, vector_[index], digits);
  return true;
}

void Cursor::Rebuild() {
  text_.clear();
  for (size_t i = 0; i < labels_.size(); i++) {
    text_ += labels_[i];
    if (is_compact_) {
      AppendCompact(i);
    } else {
      AppendDecimal(i);
    }
    ends_[i] = text_.size();
  }
}

void Cursor::AppendDecimal(size_t index) {
  char digits[kNumberLength];
  const char* const end = WriteNumber(digits, static_cast<int64_t>(vector_[index]));
  text_.append(digits, static_cast<size_t>(end - digits));
}

void Cursor::AppendCompact(size_t index) {
  if (!labels_[index].empty()) {
    size_t digits = DigitsOf(vector_[index]);
    for (size_t i = index + 1; i < labels_.size() && labels_[i].empty(); i++) {
      digits = std::max(digits, DigitsOf(vector_[i]));
    }
    digits_[index] = digits;
    text_ += kCompactDigits[digits];
  } else {
    digits_[index] = digits_[index - 1];
  }
  text_.resize(text_.size() + digits_[index]);
  WriteCompact(text_.data() + text_.size() - digits_[index], vector_[index], digits_[index]);
}

}  // namespace frames
