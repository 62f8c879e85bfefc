// SPDX-License-Identifier: Apache-2.0
// Which libascendcl.so is used, and how its symbols become an AclApi.
#include <dlfcn.h>

#include <map>
#include <mutex>
#include <utility>

#include "host_cc/acl_api.h"
#include "host_cc/shipped_files.h"

namespace ascend_attention {
namespace {

constexpr char kAclLibrary[] = "libascendcl.so";
constexpr char kLibraryVariable[] = "ASCEND_ATTENTION_ACL_LIBRARY";
constexpr char kVnpuName[] = "vnpu";
// In the Python package; in lib/ of an install tree; in a Bazel tree.
constexpr char kVnpuInstalled[] = "vnpu/lib/libascendcl.so";
constexpr char kVnpuInLib[] = "ascend_attention/vnpu/lib/libascendcl.so";
constexpr char kVnpuInTree[] = "tools/vnpu/acl/libascendcl.so";

struct Library {
  void* handle = nullptr;
  std::string path;
};

// The file a symbol comes from: the handle's own path, for messages.
std::string PathOfSymbol(void* symbol) {
  Dl_info info;
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return {};
  return info.dli_fname;
}

// `why` collects one reason per failed attempt.
Library Open(const std::string& name, int extra_flags, std::string* why) {
  Library library;
  library.handle = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL | extra_flags);
  if (library.handle == nullptr) {
    const char* error = dlerror();
    const std::string reason = error == nullptr ? "unknown reason" : error;
    // The loader names the file that is missing, which may be a dependency.
    *why += "\n  " + (reason.rfind(name, 0) == 0 ? reason : name + ": " + reason);
    return library;
  }
  library.path = PathOfSymbol(dlsym(library.handle, "aclInit"));
  if (library.path.empty()) library.path = name;
  return library;
}

Library OpenVnpu(std::string* why) {
  std::string path = Environment("ASCEND_ATTENTION_VNPU_LIBRARY");
  if (path.empty()) path = FindShipped({kVnpuInstalled, kVnpuInLib, kVnpuInTree});
  if (path.empty()) {
    *why += std::string("\n  virtual NPU: no ") + kVnpuInstalled + " beside this library";
    return {};
  }
  return Open(path, 0, why);
}

Library OpenCann(std::string* why) {
  const Library library = Open(kAclLibrary, 0, why);
  const std::string home = Environment("ASCEND_HOME_PATH");
  if (library.handle != nullptr || home.empty()) return library;
  return Open(home + "/lib64/" + kAclLibrary, 0, why);
}

Library OpenAny(std::string* why) {
  std::string not_loaded_yet;  // is no failure
  Library library = Open(kAclLibrary, RTLD_NOLOAD, &not_loaded_yet);
  if (library.handle == nullptr) library = OpenCann(why);
  if (library.handle == nullptr) library = OpenVnpu(why);
  return library;
}

Library OpenRequested(std::string requested, std::string* why) {
  if (requested.empty()) requested = Environment(kLibraryVariable);
  if (requested.empty()) return OpenAny(why);
  if (requested == kVnpuName) return OpenVnpu(why);
  return Open(requested, 0, why);
}

template <typename Function>
Function Symbol(const SymbolFinder& find, const char* name) {
  return reinterpret_cast<Function>(find(name));
}

std::string VersionText(const SymbolFinder& find, bool is_virtual) {
  if (is_virtual) {
    const auto abi = Symbol<decltype(&vnpu_abi_version)>(find, "vnpu_abi_version");
    return "virtual NPU, ABI " + std::to_string(abi());
  }
  // Room to spare: a newer CANN may have a longer struct.
  struct {
    aclCANNPackageVersion version;
    char spare[1024];
  } result = {};
  const auto get = Symbol<decltype(&aclsysGetCANNVersion)>(find, "aclsysGetCANNVersion");
  if (get == nullptr || get(ACL_PKG_NAME_CANN, &result.version) != ACL_SUCCESS) {
    return "CANN of unknown version";
  }
  result.version.version[ACL_PKG_VERSION_MAX_SIZE - 1] = '\0';
  return std::string("CANN ") + result.version.version;
}

Status MissingSymbol(const char* name, const AclApi& acl) {
  return FailedPrecondition(acl.library, " (", acl.version, ") has no ", name,
                            ": CANN 8.5.0 or later is needed");
}

}  // namespace

StatusOr<AclApi> ResolveAclApi(const SymbolFinder& find, const std::string& library) {
  AclApi acl;
  acl.library = library;
  acl.is_virtual = find("vnpu_abi_version") != nullptr;
  acl.version = VersionText(find, acl.is_virtual);
#define ASCEND_ATTENTION_ACL_RESOLVE(name)            \
  acl.name = Symbol<decltype(acl.name)>(find, #name); \
  if (acl.name == nullptr) return MissingSymbol(#name, acl);
  ASCEND_ATTENTION_ACL_FUNCTIONS(ASCEND_ATTENTION_ACL_RESOLVE)
#undef ASCEND_ATTENTION_ACL_RESOLVE
  acl.aclrtGetHardwareSyncAddr =
      Symbol<decltype(acl.aclrtGetHardwareSyncAddr)>(find, "aclrtGetHardwareSyncAddr");
  acl.rtGetC2cCtrlAddr = Symbol<decltype(acl.rtGetC2cCtrlAddr)>(find, "rtGetC2cCtrlAddr");
  if (acl.aclrtGetHardwareSyncAddr == nullptr && acl.rtGetC2cCtrlAddr == nullptr) {
    return MissingSymbol("aclrtGetHardwareSyncAddr and no rtGetC2cCtrlAddr", acl);
  }
#define ASCEND_ATTENTION_ACL_OPTIONAL(name) acl.name = Symbol<decltype(acl.name)>(find, #name);
  ASCEND_ATTENTION_ACL_OPTIONAL(aclmdlRICaptureGetInfo)
  ASCEND_ATTENTION_ACL_OPTIONAL(vnpuAclChecksEnabled)
  ASCEND_ATTENTION_ACL_OPTIONAL(vnpuAclNameRegion)
  ASCEND_ATTENTION_ACL_OPTIONAL(vnpuAclMarkUndefined)
#undef ASCEND_ATTENTION_ACL_OPTIONAL
  return acl;
}

StatusOr<std::shared_ptr<const AclApi>> LoadAclApi(const std::string& requested) {
  std::string why;
  const Library library = OpenRequested(requested, &why);
  if (library.handle == nullptr) {
    const std::string environment = Environment(kLibraryVariable);
    const bool from_environment = requested.empty() && !environment.empty();
    return FailedPrecondition("no ACL library (",
                              from_environment ? kLibraryVariable : "acl_library", " = \"",
                              from_environment ? environment : requested, "\"):", why,
                              "\n  Set ASCEND_ATTENTION_ACL_LIBRARY to a libascendcl.so, or to "
                              "\"vnpu\" for the virtual NPU.");
  }
  // Libraries stay loaded for good: streams of the engine may outlive us.
  static std::mutex mutex;
  static auto* const tables = new std::map<void*, std::shared_ptr<const AclApi>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<const AclApi>& table = (*tables)[library.handle];
  if (table == nullptr) {
    // rtGetC2cCtrlAddr lives in libruntime.so, which libascendcl.so needs: dlsym
    // of a handle searches its dependencies too.
    const SymbolFinder find = [&](const char* name) { return dlsym(library.handle, name); };
    AA_ASSIGN_OR_RETURN(AclApi acl, ResolveAclApi(find, library.path));
    table = std::make_shared<const AclApi>(std::move(acl));
  }
  return table;
}

}  // namespace ascend_attention
