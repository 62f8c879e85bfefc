// SPDX-License-Identifier: Apache-2.0
// Parser and printer of the case grammar; messages are case.py's.
#include "testdata/decode_case.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string_view>

namespace ascend_attention::testdata {
namespace {

constexpr int64_t kMaxContext = int64_t{1} << 24;
constexpr int64_t kMaxSeed = 0xffffffff;
constexpr int64_t kMaxCores = 256;

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
      Lengths(parts_[kFixed - 2]);
      case_.seed = static_cast<uint32_t>(Number("seed", parts_.back(), "seed", 0, kMaxSeed));
      for (size_t i = kFixed; i + 1 < parts_.size(); ++i) Option(parts_[i]);
      DType(parts_[kFixed - 1]);
      CheckLengthCount();
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

  void Lengths(std::string_view part) {
    constexpr std::string_view kPrefix = "ctx";
    if (!StartsWith(part, kPrefix)) {
      Fail("ctx = " + Quoted(part) + ": allowed is ctx<length>[,<length>...]");
      return;
    }
    for (std::string_view digits : Split(part.substr(kPrefix.size()), ',')) {
      const std::string field = "ctx[" + std::to_string(case_.context_lens.size()) + "]";
      case_.context_lens.push_back(static_cast<int32_t>(Int(field, digits, 0, kMaxContext)));
    }
    if (case_.context_lens.size() == 1) {
      case_.context_lens.resize(static_cast<size_t>(case_.batch), case_.context_lens[0]);
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
    if (StartsWith(part, "cores")) {
      return Once(part, &case_.num_cores, Number("option cores", part, "cores", 1, kMaxCores));
    }
    std::string allowed = "cores<N>";
    for (const Flag& flag : kFlags) allowed += std::string(", ") + flag.name;
    Fail("option = " + Quoted(part) + ": allowed are " + allowed);
  }

  template <typename T>
  void Once(std::string_view part, T* option, T value) {
    if (*option) Fail("option = " + Quoted(part) + ": given twice; allowed is once");
    *option = value;
  }

  void CheckLengthCount() {
    if (static_cast<int64_t>(case_.context_lens.size()) == case_.batch) return;
    Fail("ctx = " + std::to_string(case_.context_lens.size()) +
         " lengths: allowed is one for all, or one for each of the " + std::to_string(case_.batch) +
         " sequences");
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
  const bool equal = std::all_of(context_lens.begin(), context_lens.end(),
                                 [this](int32_t length) { return length == context_lens[0]; });
  for (size_t i = 0; i < (equal ? 1 : context_lens.size()); ++i) {
    line += (i == 0 ? ":ctx" : ",") + std::to_string(context_lens[i]);
  }
  line += bfloat16 ? ":bf16" : ":f16";
  if (num_cores > 0) line += ":cores" + std::to_string(num_cores);
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
