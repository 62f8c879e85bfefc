// SPDX-License-Identifier: Apache-2.0
#include "host_cc/shipped_files.h"

#include <dlfcn.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace ascend_attention {
namespace {

// A tree root is never further up than this: python/ascend_attention/_core.so
// and <name>.runfiles/<workspace>/host_cc/<name> need three.
constexpr int kMaxParents = 5;

std::string Resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? std::string() : std::string(real.get());
}

std::string ExecutablePath() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  return length <= 0 ? std::string() : std::string(path, static_cast<size_t>(length));
}

// The shared library or program that contains this function, as the loader
// names it: for a program that is argv[0], which may be relative.
std::string OwnFile() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&OwnFile), &info) == 0 || info.dli_fname == nullptr) return {};
  return info.dli_fname;
}

std::string WorkingFolder() {
  char path[PATH_MAX];
  return getcwd(path, sizeof(path)) == nullptr ? std::string() : std::string(path);
}

void AddParents(std::string path, std::vector<std::string>& roots) {
  if (path.empty()) return;
  if (path[0] != '/') path = WorkingFolder() + "/" + path;
  for (int i = 0; i < kMaxParents; ++i) {
    const size_t slash = path.rfind('/');
    if (slash == 0 || slash == std::string::npos) return;
    path.resize(slash);
    roots.push_back(path);
  }
}

std::vector<std::string> FindRoots() {
  std::vector<std::string> roots;
  const std::string own = OwnFile();
  // A program found through PATH has an argv[0] that is no path.
  AddParents(FileExists(own) ? own : ExecutablePath(), roots);
  AddParents(Resolved(own), roots);
  for (const char* name : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
    const std::string folder = Environment(name);
    if (!folder.empty()) roots.push_back(folder + "/ascend_attention_workspace");
  }
  return roots;
}

}  // namespace

const std::vector<std::string>& ShippedRoots() {
  static const auto* const roots = new std::vector<std::string>(FindRoots());
  return *roots;
}

std::string FindShipped(const std::vector<std::string>& relative_paths) {
  for (const std::string& root : ShippedRoots()) {
    for (const std::string& path : relative_paths) {
      const std::string file = root + "/" + path;
      if (FileExists(file)) return file;
    }
  }
  return {};
}

bool FileExists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace ascend_attention
