// SPDX-License-Identifier: Apache-2.0
#include "testdata/golden.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

namespace ascend_attention::testdata {
namespace {

constexpr size_t kBoundsPerRow = 3;

struct Place {
  const char* rule = "out";
  size_t row = 0;
  double error = 0;
  double bound = 0;

  double ratio() const {
    if (error == 0) return 0;
    return bound > 0 ? error / bound : std::numeric_limits<double>::infinity();
  }
};

void KeepWorse(const Place& place, Place* worst) {
  if (place.ratio() > worst->ratio()) *worst = place;
}

double AbsError(float got, float want) {
  if (got == want) return 0;
  const double error = std::abs(static_cast<double>(got) - static_cast<double>(want));
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

Golden Failure(const std::string& error) {
  Golden golden;
  golden.error = error;
  return golden;
}

std::string FirstLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Empty if there is none.
std::string FindFolder(const std::string& root, const std::string& case_line) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    if (FirstLine(entry.path() / "case.txt") == case_line) return entry.path().string();
  }
  return "";
}

bool ShapesFit(const Golden& golden) {
  const std::vector<int64_t>& out = golden.out.shape;
  return out.size() == 3 && golden.lse.shape == std::vector<int64_t>{out[0], out[1]} &&
         golden.bounds.shape ==
             std::vector<int64_t>{out[0], out[1], static_cast<int64_t>(kBoundsPerRow)};
}

GoldenReport Report(const Place& worst, int64_t num_heads) {
  char text[160];
  std::snprintf(text, sizeof text, "%s of row %zu, head %zu: error %.3g, tolerance %.3g",
                worst.rule, worst.row / num_heads, worst.row % num_heads, worst.error, worst.bound);
  return {worst.error <= worst.bound, worst.error, worst.bound, text};
}

}  // namespace

Golden LoadGolden(const std::string& root, const std::string& case_line) {
  const std::string folder = FindFolder(root, case_line);
  if (folder.empty()) return Failure("no golden below " + root + " for " + case_line);
  Golden golden;
  golden.case_line = case_line;
  golden.out = ReadNpy(folder + "/out.npy");
  golden.lse = ReadNpy(folder + "/lse.npy");
  golden.bounds = ReadNpy(folder + "/bounds.npy");
  for (const NpyArray* array : {&golden.out, &golden.lse, &golden.bounds}) {
    if (!array->ok()) return Failure(array->error);
  }
  if (!ShapesFit(golden)) return Failure(folder + ": shapes of its arrays do not fit together");
  return golden;
}

GoldenReport Compare(const Golden& golden, const std::vector<float>& out,
                     const std::vector<float>& lse) {
  const std::vector<float>& want = golden.out.values;
  if (out.size() != want.size() || (!lse.empty() && lse.size() != golden.lse.values.size())) {
    return {false, std::numeric_limits<double>::infinity(), 0,
            "has " + std::to_string(out.size()) + " out and " + std::to_string(lse.size()) +
                " lse values; the golden has " + std::to_string(want.size()) + " and " +
                std::to_string(golden.lse.values.size())};
  }
  const size_t head_dim = static_cast<size_t>(golden.out.shape[2]);
  Place worst;
  for (size_t row = 0; row < golden.lse.values.size(); ++row) {
    const float* bounds = &golden.bounds.values[row * kBoundsPerRow];
    double sum_of_squares = 0;
    for (size_t i = row * head_dim; i < (row + 1) * head_dim; ++i) {
      const double error = AbsError(out[i], want[i]);
      sum_of_squares += error * error;
      KeepWorse({"out", row, error, bounds[0]}, &worst);
    }
    const double rms = std::sqrt(sum_of_squares / static_cast<double>(head_dim));
    KeepWorse({"rms of out", row, rms, bounds[1]}, &worst);
    if (!lse.empty()) {
      KeepWorse({"lse", row, AbsError(lse[row], golden.lse.values[row]), bounds[2]}, &worst);
    }
  }
  return Report(worst, golden.out.shape[1]);
}

}  // namespace ascend_attention::testdata
