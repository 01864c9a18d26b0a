// Encodes a record's JSON and the cursor after it, with the bytes of src/records/encoded-batch.ts.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "output.h"

namespace frames {

using Bytes = std::optional<std::string_view>;

struct Header {
  std::string_view name;
  Bytes value;
};

struct Record {
  int64_t offset;
  int64_t timestamp;
  Bytes key;
  Bytes value;
  const std::vector<Header>& headers;
};

// The JSON of a record from its offset on.
void AppendBody(Output& out, const Record& record, bool value_is_json);

// The JSON of a record's value alone, as within AppendBody but without white space around it. Returns
// false and writes nothing if the record has an error, which the value alone would not show.
bool AppendValue(Output& out, const Record& record, bool value_is_json);

// A position in all partitions of a subscription, and its text: labels and numbers in turn. Without
// labels the text stays empty. In the compact form (src/records/compact-cursor.ts) the numbers of a
// topic, which begin with a label that is not empty, have one number of digits.
class Cursor {
 public:
  Cursor(const std::vector<std::string>& labels, bool is_compact, std::vector<double> vector);

  const std::vector<double>& vector() const { return vector_; }
  const std::string& text() const { return text_; }
  void Set(size_t index, double next);

 private:
  bool ReplaceDecimal(size_t index);
  bool ReplaceCompact(size_t index, size_t digits_before);
  void Rebuild();
  void AppendDecimal(size_t index);
  void AppendCompact(size_t index);

  const std::vector<std::string>& labels_;
  bool is_compact_;
  std::vector<double> vector_;
  std::string text_;
  std::vector<size_t> ends_;    // Where each number ends.
  std::vector<size_t> digits_;  // The digits of each number, in the compact form.
};

}  // namespace frames
