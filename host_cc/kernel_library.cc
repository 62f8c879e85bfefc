// SPDX-License-Identifier: Apache-2.0
#include "host_cc/kernel_library.h"

#include <fstream>
#include <iterator>
#include <tuple>
#include <utility>
#include <vector>

#include "host_cc/shipped_files.h"

namespace ascend_attention {
namespace {

// The loader tells core types apart by magic: mixed kernels (AIC with AIVs) are
// "AICORE" binaries, kernels for vector cores alone have their own. Source:
// CANN docs, aclrtBinaryLoadOptionType.
constexpr uint32_t kMixed = ACL_RT_BINARY_MAGIC_ELF_AICORE;
constexpr uint32_t kVector = ACL_RT_BINARY_MAGIC_ELF_VECTOR_CORE;

struct Family {
  const char* prefix;  // of a kernel's name, up to what its dtype and route add
  const char* folder;  // of ascend_kernels
  uint32_t magic;
};

// The first row whose prefix fits.
constexpr Family kFamilies[] = {
    {"decode_fifo_", "decode_fifo", kMixed},
    {"decode_int8_", "decode_int8", kMixed},
    {"decode_", "decode", kMixed},
    {"merge_states_", "combine", kVector},
    {"reshape_and_cache_", "kv_cache", kVector},
};

StatusOr<Family> FamilyOf(const std::string& name) {
  for (const Family& family : kFamilies) {
    if (name.rfind(family.prefix, 0) == 0) return family;
  }
  return Internal("kernel ", name, " belongs to no family");
}

StatusOr<std::vector<char>> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.good() && !file.eof()) return FailedPrecondition("cannot read kernel binary ", path);
  if (bytes.empty()) return FailedPrecondition("kernel binary ", path, " is empty");
  return bytes;
}

}  // namespace

std::string KernelName(const char* family, DType dtype) {
  return std::string(family) + (dtype == DType::kBFloat16 ? "_bf16" : "_f16");
}

KernelLibrary::KernelLibrary(std::shared_ptr<const AclApi> acl, std::string kernel_dir)
    : acl_(std::move(acl)), kernel_dir_(std::move(kernel_dir)) {}

std::shared_ptr<KernelLibrary> KernelLibrary::Shared(std::shared_ptr<const AclApi> acl, int device,
                                                     const std::string& kernel_dir) {
  using Key = std::tuple<const AclApi*, int, std::string>;
  static std::mutex mutex;
  static auto* const libraries = new std::map<Key, std::shared_ptr<KernelLibrary>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<KernelLibrary>& library = (*libraries)[Key(acl.get(), device, kernel_dir)];
  if (library == nullptr) library = std::make_shared<KernelLibrary>(std::move(acl), kernel_dir);
  return library;
}

StatusOr<Kernel> KernelLibrary::Get(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = kernels_.find(name);
  if (found != kernels_.end()) return found->second;
  AA_ASSIGN_OR_RETURN(const Kernel kernel, Load(name));
  kernels_[name] = kernel;
  return kernel;
}

StatusOr<std::string> KernelLibrary::FindFile(const std::string& name,
                                              const std::string& folder_in_tree) const {
  const std::string suffix = acl_->is_virtual ? ".so" : ".o";
  const std::string installed = (acl_->is_virtual ? "vnpu/" : "a2/") + name + suffix;
  // Where Bazel puts it.
  const std::string in_tree = "ascend_kernels/" + folder_in_tree + "/" + name + suffix;
  const std::string build = std::string("in the source tree ./bazelw build ") +
                            (acl_->is_virtual ? "" : "--config=a2 ") +
                            "//ascend_kernels/... makes it";
  std::string folder = kernel_dir_;
  const char* const said_by = folder.empty() ? "ASCEND_ATTENTION_KERNEL_DIR" : "kernel_dir";
  if (folder.empty()) folder = Environment("ASCEND_ATTENTION_KERNEL_DIR");
  if (folder.empty()) {
    const std::string file =
        FindShipped({"kernels/" + installed, "ascend_attention/kernels/" + installed, in_tree});
    if (!file.empty()) return file;
    const std::vector<std::string>& roots = ShippedRoots();
    return FailedPrecondition(
        "kernel binary kernels/", installed, " not found beside this library (",
        roots.empty() ? "unknown folder" : roots.front(), "); ",
        acl_->is_virtual ? "install the package again"
                         : "install a package that was built with --config=a2 where CANN is",
        ", or ", build);
  }
  const std::string file = folder + "/" + installed;
  if (FileExists(file)) return file;
  return FailedPrecondition("kernel binary ", file, " not found; without ", said_by,
                            " those beside the library are taken, and ", build);
}

StatusOr<Kernel> KernelLibrary::Load(const std::string& name) {
  AA_ASSIGN_OR_RETURN(const Family family, FamilyOf(name));
  AA_ASSIGN_OR_RETURN(const std::string path, FindFile(name, family.folder));
  AA_ASSIGN_OR_RETURN(const std::vector<char> bytes, ReadFile(path));
  aclrtBinaryLoadOption options[2] = {};
  options[0].type = ACL_RT_BINARY_LOAD_OPT_LAZY_LOAD;
  options[0].value.isLazyLoad = 0;
  options[1].type = ACL_RT_BINARY_LOAD_OPT_MAGIC;
  options[1].value.magic = family.magic;
  const aclrtBinaryLoadOptions load = {options, std::size(options)};

  void* binary = nullptr;
  AA_RETURN_IF_ERROR(
      acl_->Check(acl_->aclrtBinaryLoadFromData(bytes.data(), bytes.size(), &load, &binary),
                  "aclrtBinaryLoadFromData(", path, ")"));
  Kernel kernel = {name, nullptr};
  const std::string function = name + "_0";
  AA_RETURN_IF_ERROR(
      acl_->Check(acl_->aclrtBinaryGetFunction(binary, function.c_str(), &kernel.function),
                  "aclrtBinaryGetFunction(", path, ", ", function, ")"));
  return kernel;
}

}  // namespace ascend_attention
