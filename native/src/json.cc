#include "json.h"

#include <ctype.h>

#include <bit>
#include <charconv>
#include <vector>

#include "utf8.h"

namespace frames {

namespace {

using Byte = unsigned char;

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;

uint64_t Load(const Byte* at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

// Counts those of eight bytes that come before the first one that a JSON string must escape (a quote, a
// backslash or a control character) or that is not ASCII. (Borrows make bits wrong only behind the first
// one. https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord)
size_t PlainBytes(uint64_t word) {
  static_assert(std::endian::native == std::endian::little);
  const uint64_t quote = word ^ (kOnes * '"');
  const uint64_t backslash = word ^ (kOnes * '\\');
  const uint64_t marks = (((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) |
                          ((backslash - kOnes) & ~backslash) | word) &
                         kHighBits;
  return static_cast<size_t>(std::countr_zero(marks)) / 8;
}

// Whether kBlock bytes are ASCII that a JSON string has as it is. Compilers make vector instructions of
// this on every processor: a loop over words takes three times as long.
constexpr size_t kBlock = 32;
bool IsPlainBlock(const Byte* at) {
  using Vector = signed char __attribute__((vector_size(16)));
  Vector first;
  Vector second;
  memcpy(&first, at, sizeof first);
  memcpy(&second, at + sizeof first, sizeof second);
  // As signed bytes, those that are not ASCII are below the control characters' end, too.
  const auto marked = (first < 0x20) | (first == '"') | (first == '\\') | (second < 0x20) |
                      (second == '"') | (second == '\\');
  uint64_t words[2];
  static_assert(sizeof words == sizeof marked);
  memcpy(words, &marked, sizeof words);
  return (words[0] | words[1]) == 0;
}

char* WriteEscape(char* to, Byte byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  *to++ = '\\';
  switch (byte) {
    case '"':
    case '\\':
      *to++ = static_cast<char>(byte);
      break;
    case '\b':
      *to++ = 'b';
      break;
    case '\t':
      *to++ = 't';
      break;
    case '\n':
      *to++ = 'n';
      break;
    case '\f':
      *to++ = 'f';
      break;
    case '\r':
      *to++ = 'r';
      break;
    default:
      memcpy(to, "u00", 3);
      to += 3;
      *to++ = kDigits[byte >> 4];
      *to++ = kDigits[byte & 15];
  }
  return to;
}

// The grammar of RFC 8259, without limits to depth.
class Parser {
 public:
  explicit Parser(std::string_view text)
      : at_(reinterpret_cast<const Byte*>(text.data())), end_(at_ + text.size()) {}

  bool has_line_ends() const { return has_line_ends_; }

  bool Parse() {
    for (;;) {
      // A value is expected.
      SkipSpace();
      if (at_ == end_) return false;
      if (*at_ == '{') {
        at_++;
        SkipSpace();
        if (!Take('}')) {
          is_object_.push_back(true);
          if (!Name()) return false;
          continue;
        }
      } else if (*at_ == '[') {
        at_++;
        SkipSpace();
        if (!Take(']')) {
          is_object_.push_back(false);
          continue;
        }
      } else if (!Scalar()) {
        return false;
      }
      // A value has ended, and with it perhaps those around it.
      for (;;) {
        SkipSpace();
        if (is_object_.empty()) return at_ == end_;
        if (Take(',')) {
          SkipSpace();
          if (is_object_.back() && !Name()) return false;
          break;
        }
        if (!Take(is_object_.back() ? '}' : ']')) return false;
        is_object_.pop_back();
      }
    }
  }

 private:
  bool Take(char byte) {
    if (at_ == end_ || *at_ != static_cast<Byte>(byte)) return false;
    at_++;
    return true;
  }

  void SkipSpace() {
    for (; at_ < end_; at_++) {
      if (*at_ == '\n' || *at_ == '\r') {
        has_line_ends_ = true;
      } else if (*at_ != ' ' && *at_ != '\t') {
        return;
      }
    }
  }

  bool Name() {
    if (!String()) return false;
    SkipSpace();
    return Take(':');
  }

  bool Scalar() {
    switch (*at_) {
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  bool Word(std::string_view word) {
    if (static_cast<size_t>(end_ - at_) < word.size() ||
        memcmp(at_, word.data(), word.size()) != 0) {
      return false;
    }
    at_ += word.size();
    return true;
  }

  bool Digits() {
    const Byte* const begin = at_;
    while (at_ < end_ && *at_ >= '0' && *at_ <= '9') at_++;
    return at_ > begin;
  }

  bool Number() {
    Take('-');
    if (!Take('0') && !Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      return Digits();
    }
    return true;
  }

  bool String() {
    if (!Take('"')) return false;
    while (at_ < end_) {
      while (static_cast<size_t>(end_ - at_) >= kBlock && IsPlainBlock(at_)) at_ += kBlock;
      if (at_ == end_) return false;
      if (end_ - at_ >= 8) {
        const size_t plain = PlainBytes(Load(at_));
        at_ += plain;
        if (plain == 8) continue;
      }
      const Byte byte = *at_;
      if (byte == '"') {
        at_++;
        return true;
      }
      if (byte == '\\') {
        if (!Escape()) return false;
      } else if (byte < 0x20) {
        return false;
      } else {
        const size_t length = byte < 0x80 ? 1 : CharacterLength(at_, end_);
        if (length == 0) return false;
        at_ += length;
      }
    }
    return false;
  }

  bool Escape() {
    at_++;
    if (at_ == end_) return false;
    const Byte byte = *at_++;
    if (byte != 'u') return byte && strchr("\"\\/bfnrt", byte);
    for (int i = 0; i < 4; i++, at_++) {
      if (at_ == end_ || !isxdigit(*at_)) return false;
    }
    return true;
  }

  const Byte* at_;
  const Byte* const end_;
  bool has_line_ends_ = false;
  std::vector<bool> is_object_;  // Whether each container of the value is an object, from the outside in.
};

}  // namespace

bool AppendString(Output& out, std::string_view text) {
  // Reserves room for one piece at a time, since a byte may become six.
  constexpr size_t kPiece = 4096;
  const size_t begin = out.size();
  const auto* at = reinterpret_cast<const Byte*>(text.data());
  const Byte* const end = at + text.size();
  out.Append("\"");
  while (at < end) {
    const auto left = static_cast<size_t>(end - at);
    const size_t piece = left < kPiece ? left : kPiece;
    const Byte* const piece_end = at + piece;
    char* to = out.Room(piece * 6 + 8);
    while (at < piece_end) {
      while (static_cast<size_t>(piece_end - at) >= kBlock && IsPlainBlock(at)) {
        memcpy(to, at, kBlock);
        at += kBlock;
        to += kBlock;
      }
      if (at == piece_end) break;
      if (piece_end - at >= 8) {
        const uint64_t word = Load(at);
        memcpy(to, &word, sizeof word);
        const size_t plain = PlainBytes(word);
        at += plain;
        to += plain;
        if (plain == 8) continue;
      }
      const Byte byte = *at;
      if (byte < 0x20 || byte == '"' || byte == '\\') {
        to = WriteEscape(to, byte);
        at++;
        continue;
      }
      const size_t length = byte < 0x80 ? 1 : CharacterLength(at, end);
      if (length == 0) {
        out.Truncate(begin);
        return false;
      }
      memcpy(to, at, length);
      to += length;
      at += length;
    }
    out.Written(to);
  }
  out.Append("\"");
  return true;
}

bool AppendJson(Output& out, std::string_view text) {
  Parser parser(text);
  if (!parser.Parse()) return false;
  char* const to = out.Room(text.size());
  memcpy(to, text.data(), text.size());
  out.Written(to + text.size());
  // In valid JSON, line ends occur only between tokens. As spaces they cannot end a line of an event stream.
  if (parser.has_line_ends()) {
    for (size_t i = 0; i < text.size(); i++) {
      if (to[i] == '\n' || to[i] == '\r') to[i] = ' ';
    }
  }
  return true;
}

void AppendBase64(Output& out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto* at = reinterpret_cast<const Byte*>(bytes.data());
  const Byte* const end = at + bytes.size();
  char* to = out.Room((bytes.size() + 2) / 3 * 4 + 2);
  *to++ = '"';
  for (; end - at >= 3; at += 3) {
    const uint32_t bits = static_cast<uint32_t>(at[0] << 16 | at[1] << 8 | at[2]);
    *to++ = kDigits[bits >> 18];
    *to++ = kDigits[bits >> 12 & 63];
    *to++ = kDigits[bits >> 6 & 63];
    *to++ = kDigits[bits & 63];
  }
  if (const auto left = end - at; left > 0) {
    const uint32_t bits = static_cast<uint32_t>(at[0] << 16 | (left > 1 ? at[1] << 8 : 0));
    *to++ = kDigits[bits >> 18];
    *to++ = kDigits[bits >> 12 & 63];
    *to++ = left > 1 ? kDigits[bits >> 6 & 63] : '=';
    *to++ = '=';
  }
  *to++ = '"';
  out.Written(to);
}

char* WriteNumber(char* to, int64_t number) {
  constexpr int64_t kMaxSafe = (int64_t{1} << 53) - 1;
  if (number >= -kMaxSafe && number <= kMaxSafe) {
    return std::to_chars(to, to + kNumberLength, number).ptr;
  }
  // JavaScript prints the shortest digits that name the nearest double, and zeros. std::to_chars gives these
  // digits as "d.ddde+18".
  char shortest[32];
  const char* const end = std::to_chars(shortest, shortest + sizeof shortest,
                                        static_cast<double>(number), std::chars_format::scientific)
                              .ptr;
  const char* from = shortest;
  if (*from == '-') *to++ = *from++;
  const auto* mark = static_cast<const char*>(memchr(from, 'e', static_cast<size_t>(end - from)));
  int exponent = 0;
  std::from_chars(mark + 2, end, exponent);
  for (; from < mark; from++) {
    if (*from == '.') continue;
    *to++ = *from;
    exponent--;
  }
  for (; exponent >= 0; exponent--) *to++ = '0';
  return to;
}

}  // namespace frames
