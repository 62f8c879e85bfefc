// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/finding.h"

#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace {

std::string Place(const Site& site) {
  return "block " + std::to_string(site.core.block) + " " + RoleName(site.core.role) + ", pipe " +
         PipeName(site.pipe) + ", instruction " + std::to_string(site.sequence) + ": " +
         RowOf(site.insn).name + " " + site.what;
}

// Cores of one kind run the same code: a place is the same on all of them. With
// `lines` so are the copies of a line that the compiler has made by unrolling.
std::string Key(const Finding& finding, bool lines) {
  std::string key = finding.checker + "/" + finding.kind + "/" + finding.kernel;
  for (const Site& site : finding.sites) {
    key += "/" + std::to_string(site.insn) + "@" +
           (lines && !site.frames.empty()
                ? site.frames
                : std::to_string(reinterpret_cast<uintptr_t>(site.return_address)));
  }
  return key;
}

}  // namespace

std::string FindingText(const Finding& finding) {
  std::string text = finding.headline + "\n";
  if (!finding.kernel.empty()) text += "  kernel " + finding.kernel + "\n";
  for (size_t i = 0; i < finding.sites.size(); ++i) {
    const char* label = finding.sites.size() == 1 ? ""
                        : i == 0                  ? "first  "
                        : i == 1                  ? "second "
                                                  : "also   ";
    text += label + Place(finding.sites[i]) + "\n" + finding.sites[i].frames;
  }
  if (!finding.missing.empty()) text += "missing " + finding.missing + "\n";
  if (!finding.fix.empty()) text += "fix     " + finding.fix + "\n";
  if (finding.count > 1) {
    text += "        the same two places met " + std::to_string(finding.count) + " times\n";
  }
  return text;
}

void FindingList::Report(Finding finding) {
  // A repetition may come without its lines: its addresses are known by then.
  const std::string key = Key(finding, false), lines = Key(finding, true);
  auto it = index_.find(key);
  if (it == index_.end()) it = index_.find(lines);
  if (it != index_.end()) {
    findings_[it->second].count += finding.count;
    index_[key] = it->second;
    return;
  }
  if (findings_.size() >= limit_) {
    ++dropped_;
    return;
  }
  index_[key] = index_[lines] = findings_.size();
  findings_.push_back(std::move(finding));
}

void FindingList::Clear() {
  findings_.clear();
  index_.clear();
  dropped_ = 0;
}

}  // namespace vnpu
