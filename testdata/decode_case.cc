// SPDX-License-Identifier: Apache-2.0
// Parser and printer of the case grammar; messages are case.py's.
#include "testdata/decode_case.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <string_view>

namespace ascend_attention::testdata {
namespace {

constexpr int64_t kMaxContext = int64_t{1} << 24;
constexpr int64_t kMaxSeed = 0xffffffff;
constexpr int64_t kMaxCores = 256;
constexpr int64_t kMaxQLen = 1024;

struct NumberField {
  const char* name;
  const char* prefix;
  int64_t max;  // min is 1
  int64_t DecodeCase::* member;
};

constexpr NumberField kNumbers[] = {
    {"batch", "b", 65536, &DecodeCase::batch},
    {"num_heads", "h", 1024, &DecodeCase::num_heads},
    {"num_kv_heads", "kv", 1024, &DecodeCase::num_kv_heads},
    {"head_dim", "d", 1024, &DecodeCase::head_dim},
    {"kv_block_size", "bs", 65536, &DecodeCase::kv_block_size},
};
constexpr size_t kNumNumbers = std::size(kNumbers);

struct Flag {
  const char* name;
  bool DecodeCase::* member;
};

constexpr Flag kLayoutFlags[] = {
    {"headmajor", &DecodeCase::headmajor},
    {"interleaved", &DecodeCase::interleaved},
};

template <typename T>
struct Choice {
  const char* name;
  T value;
};

constexpr Choice<KvQuant> kKvQuants[] = {
    {"kvint8-channel", KvQuant::kInt8Channel},
    {"kvint8-channel-asym", KvQuant::kInt8ChannelAsym},
    {"kvint8-token", KvQuant::kInt8Token},
};

constexpr Choice<KvRoute> kRoutes[] = {
    {"route-dequant", KvRoute::kDequant},
    {"route-limbs", KvRoute::kLimbs},
    {"route-direct", KvRoute::kDirect},
    {"route-fifo", KvRoute::kFifo},
};

constexpr char kOutFloat32[] = "outf32";

// Canonical order.
constexpr Flag kFlags[] = {
    {"fulltable", &DecodeCase::fulltable}, {"shared", &DecodeCase::shared},
    {"outliers", &DecodeCase::outliers},   {"onehot", &DecodeCase::onehot},
    {"sharp", &DecodeCase::sharp},         {"bigscores", &DecodeCase::bigscores},
};

struct Exclusion {
  const char* flag;
  bool DecodeCase::* member;
  const char* other;
  bool DecodeCase::* other_member;
};

constexpr Exclusion kExclusions[] = {
    {"outliers", &DecodeCase::outliers, "bigscores", &DecodeCase::bigscores},
    {"sharp", &DecodeCase::sharp, "bigscores", &DecodeCase::bigscores},
};

std::string Quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string RangeText(int64_t low, int64_t high) {
  return std::to_string(low) + ".." + std::to_string(high);
}

// The option that says `value`; null for the default.
template <typename T, size_t n>
const char* NameOf(const Choice<T> (&choices)[n], T value) {
  for (const Choice<T>& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return nullptr;
}

template <typename T, size_t n>
std::string Names(const T (&choices)[n]) {
  std::string names;
  for (const T& choice : choices) names += (names.empty() ? "" : ", ") + std::string(choice.name);
  return names;
}

// One number if all are equal.
std::string LengthsText(const std::vector<int32_t>& lengths) {
  const bool equal = std::all_of(lengths.begin(), lengths.end(),
                                 [&lengths](int32_t length) { return length == lengths[0]; });
  std::string text = std::to_string(lengths[0]);
  for (size_t i = 1; i < lengths.size() && !equal; ++i) text += "," + std::to_string(lengths[i]);
  return text;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::string_view Strip(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// Fills a DecodeCase part by part; the first error stays.
class Parser {
 public:
  explicit Parser(std::string_view line) : line_(Strip(line)), parts_(Split(line_, ':')) {}

  DecodeCase Parse() {
    constexpr size_t kFixed = kNumNumbers + 3;  // decode, the numbers, ctx, dtype
    if (parts_[0] != "decode") {
      Fail("kind = " + Quoted(parts_[0]) + ": allowed is decode");
    } else if (parts_.size() < kFixed + 1) {
      Fail("case = " + Quoted(line_) + ": has " + std::to_string(parts_.size()) +
           " parts; allowed is decode:b<batch>:h<num_heads>:kv<num_kv_heads>:d<head_dim>:"
           "bs<kv_block_size>:ctx<lengths>:<f16|bf16>[:option...]:seed<n>");
    } else {
      for (size_t i = 0; i < kNumNumbers; ++i) {
        const NumberField& field = kNumbers[i];
        case_.*field.member = Number(field.name, parts_[i + 1], field.prefix, 1, field.max);
      }
      Lengths("ctx", parts_[kFixed - 2], 0, kMaxContext, &case_.context_lens);
      case_.seed = static_cast<uint32_t>(Number("seed", parts_.back(), "seed", 0, kMaxSeed));
      for (size_t i = kFixed; i + 1 < parts_.size(); ++i) Option(parts_[i]);
      DType(parts_[kFixed - 1]);
      if (case_.q_lens.empty()) case_.q_lens.assign(static_cast<size_t>(case_.batch), 1);
      CheckLengthCount("ctx", case_.context_lens);
      CheckLengthCount("qlen", case_.q_lens);
      CheckCache();
      CheckExclusions();
    }
    return case_;
  }

 private:
  void Fail(const std::string& message) {
    if (case_.error.empty()) case_.error = message;
  }

  // No sign, no leading zero: one spelling per case.
  int64_t Int(const std::string& field, std::string_view digits, int64_t low, int64_t high) {
    constexpr size_t kMaxDigits = 18;
    const bool spelled = !digits.empty() && digits.size() <= kMaxDigits &&
                         digits.find_first_not_of("0123456789") == std::string_view::npos &&
                         (digits.size() == 1 || digits[0] != '0');
    if (!spelled) {
      Fail(field + " = " + Quoted(digits) + ": allowed is a number " + RangeText(low, high));
      return low;
    }
    int64_t value = 0;
    for (char digit : digits) value = value * 10 + (digit - '0');
    if (value < low || value > high) {
      Fail(field + " = " + std::to_string(value) + ": allowed is " + RangeText(low, high));
      return low;
    }
    return value;
  }

  int64_t Number(const std::string& field, std::string_view part, const std::string& prefix,
                 int64_t low, int64_t high) {
    if (!StartsWith(part, prefix)) {
      Fail(field + " = " + Quoted(part) + ": allowed is " + prefix + "<" + RangeText(low, high) +
           ">");
      return low;
    }
    return Int(field, part.substr(prefix.size()), low, high);
  }

  void Lengths(const std::string& name, std::string_view part, int64_t low, int64_t high,
               std::vector<int32_t>* lengths) {
    if (!StartsWith(part, name)) {
      Fail(name + " = " + Quoted(part) + ": allowed is " + name + "<length>[,<length>...]");
      return;
    }
    for (std::string_view digits : Split(part.substr(name.size()), ',')) {
      const std::string field = name + "[" + std::to_string(lengths->size()) + "]";
      lengths->push_back(static_cast<int32_t>(Int(field, digits, low, high)));
    }
    if (lengths->size() == 1) {
      lengths->resize(static_cast<size_t>(case_.batch), lengths->front());
    }
  }

  void DType(std::string_view part) {
    if (part != "f16" && part != "bf16") {
      Fail("dtype = " + Quoted(part) + ": allowed are f16 and bf16");
    }
    case_.bfloat16 = part == "bf16";
  }

  void Option(std::string_view part) {
    for (const Flag& flag : kFlags) {
      if (part == flag.name) return Once(part, &(case_.*flag.member), true);
    }
    for (const Flag& flag : kLayoutFlags) {
      if (part == flag.name) return Once(part, &(case_.*flag.member), true);
    }
    for (const auto& choice : kKvQuants) {
      if (part == choice.name) return OneOf(part, kKvQuants, &case_.kv_quant, choice.value);
    }
    for (const auto& choice : kRoutes) {
      if (part == choice.name) return OneOf(part, kRoutes, &case_.route, choice.value);
    }
    if (part == kOutFloat32) return Once(part, &case_.out_float32, true);
    if (StartsWith(part, "cores")) {
      return Once(part, &case_.num_cores, Number("option cores", part, "cores", 1, kMaxCores));
    }
    if (StartsWith(part, "qlen")) return QLens(part);
    if (StartsWith(part, "split")) {
      return Once(part, &case_.fixed_split_tokens,
                  Number("option split", part, "split", 1, kMaxContext));
    }
    Fail("option = " + Quoted(part) + ": allowed are cores<N>, qlen<a>[,<b>...], " +
         Names(kLayoutFlags) + ", " + Names(kKvQuants) + ", " + Names(kRoutes) + ", " +
         kOutFloat32 + ", split<N>, " + Names(kFlags));
  }

  void GivenTwice(std::string_view part) {
    Fail("option = " + Quoted(part) + ": given twice; allowed is once");
  }

  void QLens(std::string_view part) {
    std::vector<int32_t> lengths;
    Lengths("qlen", part, 1, kMaxQLen, &lengths);
    if (!case_.q_lens.empty()) GivenTwice(part);
    case_.q_lens = lengths;
  }

  template <typename T, size_t n>
  void OneOf(std::string_view part, const Choice<T> (&choices)[n], T* option, T value) {
    if (*option == value) return GivenTwice(part);
    const char* given = NameOf(choices, *option);
    if (given) Fail("option = " + Quoted(part) + ": not allowed together with " + given);
    *option = value;
  }

  template <typename T>
  void Once(std::string_view part, T* option, T value) {
    if (*option) GivenTwice(part);
    *option = value;
  }

  void CheckLengthCount(const std::string& name, const std::vector<int32_t>& lengths) {
    if (static_cast<int64_t>(lengths.size()) == case_.batch) return;
    Fail(name + " = " + std::to_string(lengths.size()) +
         " lengths: allowed is one for all, or one for each of the " + std::to_string(case_.batch) +
         " sequences");
  }

  void CheckCache() {
    const char* quant = NameOf(kKvQuants, case_.kv_quant);
    const char* route = NameOf(kRoutes, case_.route);
    const bool is_16_bit = case_.route == KvRoute::kDirect || case_.route == KvRoute::kFifo;
    if (route && !quant && !is_16_bit) {
      Fail(std::string("option ") + route + ": allowed only together with one of " +
           Names(kKvQuants));
    }
    if (quant && is_16_bit) {
      Fail(std::string("option ") + route + ": not allowed together with " + quant);
    }
    if (quant && case_.bigscores) {
      Fail(std::string("option ") + quant + ": not allowed together with bigscores");
    }
  }

  void CheckExclusions() {
    for (const Exclusion& rule : kExclusions) {
      if (!(case_.*rule.member) || !(case_.*rule.other_member)) continue;
      Fail(std::string("option ") + rule.flag + ": not allowed together with " + rule.other);
    }
  }

  std::string line_;
  std::vector<std::string_view> parts_;
  DecodeCase case_;
};

}  // namespace

int64_t DecodeCase::num_query_rows() const {
  return std::accumulate(q_lens.begin(), q_lens.end(), int64_t{0});
}

int64_t DecodeCase::max_q_len() const { return *std::max_element(q_lens.begin(), q_lens.end()); }

int64_t DecodeCase::max_context() const {
  return *std::max_element(context_lens.begin(), context_lens.end());
}

int64_t DecodeCase::max_kv_blocks() const {
  const int64_t used = (max_context() + kv_block_size - 1) / kv_block_size;
  return std::max<int64_t>(1, fulltable ? used : used + 1);
}

float DecodeCase::softmax_scale() const {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

std::string DecodeCase::ToString() const {
  std::string line = "decode";
  for (const NumberField& field : kNumbers) {
    line += std::string(":") + field.prefix + std::to_string(this->*field.member);
  }
  line += ":ctx" + LengthsText(context_lens) + (bfloat16 ? ":bf16" : ":f16");
  if (num_cores > 0) line += ":cores" + std::to_string(num_cores);
  if (max_q_len() > 1) line += ":qlen" + LengthsText(q_lens);
  for (const Flag& flag : kLayoutFlags) {
    if (this->*flag.member) line += std::string(":") + flag.name;
  }
  for (const char* option : {NameOf(kKvQuants, kv_quant), NameOf(kRoutes, route)}) {
    if (option) line += std::string(":") + option;
  }
  if (out_float32) line += std::string(":") + kOutFloat32;
  if (fixed_split_tokens > 0) line += ":split" + std::to_string(fixed_split_tokens);
  for (const Flag& flag : kFlags) {
    if (this->*flag.member) line += std::string(":") + flag.name;
  }
  return line + ":seed" + std::to_string(seed);
}

DecodeCase ParseCase(const std::string& line) { return Parser(line).Parse(); }

std::vector<DecodeCase> ReadCaseFile(const std::string& path) {
  std::vector<DecodeCase> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::string_view text = Strip(std::string_view(line).substr(0, line.find('#')));
    if (!text.empty()) cases.push_back(ParseCase(std::string(text)));
  }
  return cases;
}

}  // namespace ascend_attention::testdata
