// SPDX-License-Identifier: Apache-2.0
// Kernel binaries and launches: the calls of the C interface.
#include "tools/vnpu/acl/launch.h"

#include <elf.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tools/vnpu/acl/acl_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kHostMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kHostMachine = EM_AARCH64;
#else
#error "the virtual NPU runs on x86-64 and arm64 hosts"
#endif

// The number of blocks is a 16-bit field of the launch descriptor (CANN docs).
constexpr uint32_t kMaxBlocks = 65535;

Result CheckLoadOptions(const aclrtBinaryLoadOptions* options, bool from_data) {
  if (options == nullptr) return {};
  if (options->numOpt > 0 && options->options == nullptr) return NullPointer("options->options");
  for (size_t i = 0; i < options->numOpt; ++i) {
    const aclrtBinaryLoadOption& option = options->options[i];
    switch (option.type) {
      case ACL_RT_BINARY_LOAD_OPT_LAZY_LOAD:
        if (option.value.isLazyLoad <= 1) continue;
        return Error(ACL_ERROR_RT_PARAM_INVALID, "options[", i,
                     "].isLazyLoad = ", option.value.isLazyLoad, ": expected 0 or 1");
      case ACL_RT_BINARY_LOAD_OPT_MAGIC:
        if (!from_data) {
          return Error(ACL_ERROR_RT_PARAM_INVALID, "options[", i,
                       "] is ACL_RT_BINARY_LOAD_OPT_MAGIC, which only aclrtBinaryLoadFromData "
                       "takes");
        }
        if (option.value.magic == ACL_RT_BINARY_MAGIC_ELF_AICORE ||
            option.value.magic == ACL_RT_BINARY_MAGIC_ELF_VECTOR_CORE ||
            option.value.magic == ACL_RT_BINARY_MAGIC_ELF_CUBE_CORE) {
          continue;
        }
        return Error(ACL_ERROR_RT_PARAM_INVALID, "options[", i, "].magic = ", option.value.magic,
                     ": expected 0x43554245 (AI core), 0x41415246 (vector) or 0x41494343 (cube)");
      default:
        return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "options[", i, "].type = ", int{option.type},
                     ": only 1 (lazy load) and 2 (magic) are supported");
    }
  }
  return {};
}

// `what` names the binary. Tells a kernel for hardware from one for this host
// before the loader's own words would puzzle.
Result CheckElf(const std::string& what, const unsigned char* bytes, size_t size) {
  if (size < sizeof(Elf64_Ehdr) || std::memcmp(bytes, ELFMAG, SELFMAG) != 0) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, what, " is not an ELF file (", size, " bytes)");
  }
  Elf64_Ehdr header;
  std::memcpy(&header, bytes, sizeof(header));
  if (header.e_machine != kHostMachine) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, what, " is an ELF file for machine 0x", std::hex,
                 header.e_machine, ", not for this host (0x", kHostMachine,
                 "): a kernel built for a real Ascend NPU cannot run on the virtual one; build it "
                 "without --config=a2");
  }
  return {};
}

void AddBinary(Runtime& runtime, std::shared_ptr<vnpu::KernelModule> module,
               aclrtBinHandle* handle) {
  auto binary = std::make_shared<Binary>();
  binary->module = std::move(module);
  *handle = runtime.binaries.Add(std::move(binary));
}

Result LoadFile(Runtime& runtime, const char* path, const aclrtBinaryLoadOptions* options,
                aclrtBinHandle* handle) {
  if (path == nullptr) return NullPointer("binPath");
  if (handle == nullptr) return NullPointer("binHandle");
  const Result options_ok = CheckLoadOptions(options, false);
  if (!options_ok.ok()) return options_ok;
  const std::string what = std::string("binPath = '") + path + "'";
  if (path[0] != '/') {
    return Error(ACL_ERROR_RT_PARAM_INVALID, what, ": the runtime wants an absolute path");
  }
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) {
    return Error(ACL_ERROR_RT_FILE_OPEN, what, ": ", std::strerror(errno));
  }
  unsigned char header[sizeof(Elf64_Ehdr)];
  const size_t size = std::fread(header, 1, sizeof(header), file);
  std::fclose(file);
  const Result elf = CheckElf(what, header, size);
  if (!elf.ok()) return elf;
  std::string error;
  auto module = vnpu::KernelModule::LoadFile(path, &error);
  if (module == nullptr) return Error(ACL_ERROR_RT_PARAM_INVALID, what, ": ", error);
  AddBinary(runtime, std::move(module), handle);
  return {};
}

}  // namespace

Result LoadData(Runtime& runtime, const void* data, size_t length,
                const aclrtBinaryLoadOptions* options, aclrtBinHandle* handle) {
  if (data == nullptr) return NullPointer("data");
  if (handle == nullptr) return NullPointer("binHandle");
  Result result = CheckLoadOptions(options, true);
  if (result.ok()) result = CheckElf("data", static_cast<const unsigned char*>(data), length);
  if (!result.ok()) return result;
  std::string error;
  auto module = vnpu::KernelModule::LoadBytes(data, length, &error);
  if (module == nullptr) return Error(ACL_ERROR_RT_PARAM_INVALID, "data: ", error);
  AddBinary(runtime, std::move(module), handle);
  return {};
}

// Launches that are under way keep the code.
Result Unload(Runtime& runtime, aclrtBinHandle handle) {
  const std::shared_ptr<Binary> binary = runtime.binaries.Remove(handle);
  if (binary == nullptr) return runtime.binaries.NotFound("binHandle", handle);
  std::lock_guard lock(binary->mutex);
  for (const auto& [name, function] : binary->functions) runtime.functions.Remove(function);
  return {};
}

Result FindFunction(Runtime& runtime, aclrtBinHandle handle, const char* name,
                    aclrtFuncHandle* function) {
  const std::shared_ptr<Binary> binary = runtime.binaries.Find(handle);
  if (binary == nullptr) return runtime.binaries.NotFound("binHandle", handle);
  if (name == nullptr) return NullPointer("kernelName");
  if (function == nullptr) return NullPointer("funcHandle");
  const vnpu::Kernel* kernel = binary->module->Find(name);
  if (kernel == nullptr) {
    return Error(ACL_ERROR_RT_KERNEL_LOOKUP, "kernelName = '", name,
                 "' is not in the binary: expected '<entry>_<key>', such as 'decode_f16_0'");
  }
  std::lock_guard lock(binary->mutex);
  aclrtFuncHandle& known = binary->functions[name];
  if (known == nullptr) {
    known =
        runtime.functions.Add(std::make_shared<Function>(Function{name, binary->module, kernel}));
  }
  *function = known;
  return {};
}

namespace {

Result GetFunction(Runtime& runtime, aclrtBinHandle handle, const char* name,
                   aclrtFuncHandle* function) {
  DeviceState* unused = nullptr;  // the device copies the code at this point
  const Result result = runtime.CurrentDevice(&unused);
  return result.ok() ? FindFunction(runtime, handle, name, function) : result;
}

Result CheckAttribute(const aclrtLaunchKernelAttr& attr, size_t index) {
  switch (attr.id) {
    case ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE:
      if (attr.value.schemMode <= 1) return {};
      return Error(ACL_ERROR_RT_PARAM_INVALID, "cfg->attrs[", index,
                   "].schemMode = ", int{attr.value.schemMode}, ": expected 0 or 1");
    case ACL_RT_LAUNCH_KERNEL_ATTR_BLOCK_TASK_PREFETCH:
      if (attr.value.isBlockTaskPrefetch <= 1) return {};  // a hint about speed
      return Error(ACL_ERROR_RT_PARAM_INVALID, "cfg->attrs[", index,
                   "].isBlockTaskPrefetch = ", int{attr.value.isBlockTaskPrefetch},
                   ": expected 0 or 1");
    case ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT:
    case ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT_US:
      return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "cfg->attrs[", index,
                   "] is a time-out: the virtual NPU has none, a launch that cannot go on ends "
                   "with a deadlock report by itself");
    default:
      return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "cfg->attrs[", index, "].id = ", int{attr.id},
                   ": only 1 (schedule mode) and 5 (prefetch) are supported");
  }
}

Result CheckConfig(const aclrtLaunchKernelCfg* cfg, uint32_t num_blocks, uint32_t num_cores) {
  if (cfg == nullptr) return {};
  if (cfg->numAttrs > 0 && cfg->attrs == nullptr) return NullPointer("cfg->attrs");
  for (size_t i = 0; i < cfg->numAttrs; ++i) {
    const aclrtLaunchKernelAttr& attr = cfg->attrs[i];
    Result result = CheckAttribute(attr, i);
    if (!result.ok()) return result;
    // A kernel of vector code only has two cores for every one.
    if (attr.id == ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE && attr.value.schemMode == 1 &&
        num_blocks > 2 * num_cores) {
      return Error(ACL_ERROR_RT_PARAM_INVALID, "numBlocks = ", num_blocks,
                   " with schemMode = 1: ", "all blocks must start at once, but there are ",
                   num_cores, " cores and ", 2 * num_cores, " vector cores");
    }
  }
  return {};
}

// What a launch owns until it has run.
struct Launch {
  std::shared_ptr<Function> function;
  uint32_t num_blocks = 0;
  std::vector<unsigned char> args;
  DeviceState* device = nullptr;
  void* device_args = nullptr;  // what place holders point into

  Launch() = default;
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
  ~Launch() {
    if (device_args != nullptr) device->npu.Free(device_args);
  }
  Result Run() const;
};

aclError FaultCode(vnpu::FaultKind fault) {
  switch (fault) {
    case vnpu::FaultKind::kNone:
      return ACL_SUCCESS;
    case vnpu::FaultKind::kException:
      return ACL_ERROR_RT_AICORE_EXCEPTION;
    case vnpu::FaultKind::kTrap:
      return ACL_ERROR_RT_AICORE_TRAP_EXCEPTION;
    case vnpu::FaultKind::kDeadlock:
      return ACL_ERROR_RT_AICORE_TIMEOUT;
  }
  return ACL_ERROR_RT_INTERNAL_ERROR;
}

Result Launch::Run() const {
  std::lock_guard lock(device->launch_mutex);
  if (device->launches_to_failure > 0 && --device->launches_to_failure == 0) {
    Result injected = Error(
        device->failure_code, "injected failure (vnpuAclFailLaunch): the launch of kernel ",
        function->name, " with ", num_blocks, " blocks on device ", device->id, " did not run");
    injected.is_report = true;
    return injected;
  }
  vnpu::LaunchResult result =
      device->npu.Launch(*function->kernel, num_blocks, args.data(), args.size());
  return {FaultCode(result.fault), std::move(result.text), true};
}

Result CheckPlaceHolders(const aclrtPlaceHolderInfo* holders, size_t num_holders,
                         size_t args_size) {
  if (num_holders > 0 && holders == nullptr) return NullPointer("placeHolderArray");
  for (size_t i = 0; i < num_holders; ++i) {
    const aclrtPlaceHolderInfo& holder = holders[i];
    if (holder.addrOffset % sizeof(void*) != 0 || args_size < sizeof(void*) ||
        holder.addrOffset > args_size - sizeof(void*)) {
      return Error(ACL_ERROR_RT_PARAM_INVALID, "placeHolderArray[", i,
                   "].addrOffset = ", holder.addrOffset,
                   ": expected a multiple of 8 with 8 bytes left before argsSize = ", args_size);
    }
    if (holder.dataOffset >= args_size) {
      return Error(ACL_ERROR_RT_PARAM_INVALID, "placeHolderArray[", i,
                   "].dataOffset = ", holder.dataOffset,
                   ": expected less than argsSize = ", args_size);
    }
  }
  return {};
}

// As on the device, one block holds the whole argument area, and a place holder
// becomes its start plus dataOffset: an offset that leaves the data misaligned
// there does so here.
Result PatchPlaceHolders(const aclrtPlaceHolderInfo* holders, size_t num_holders, Launch* launch) {
  if (num_holders == 0) return {};
  vnpu::Device& npu = launch->device->npu;
  launch->device_args = npu.Allocate(launch->args.size());
  if (launch->device_args == nullptr) {
    return Error(ACL_ERROR_RT_MEMORY_ALLOCATION,
                 "out of device memory for argsSize = ", launch->args.size(), " bytes: device ",
                 launch->device->id, " has ", npu.free_bytes(), " bytes free");
  }
  auto* base = static_cast<unsigned char*>(launch->device_args);
  for (size_t i = 0; i < num_holders; ++i) {
    const unsigned char* data = base + holders[i].dataOffset;
    std::memcpy(launch->args.data() + holders[i].addrOffset, &data, sizeof(data));
  }
  std::memcpy(base, launch->args.data(), launch->args.size());
  return {};
}

}  // namespace

Result LaunchKernel(Runtime& runtime, const LaunchRequest& request) {
  auto launch = std::make_shared<Launch>();
  launch->function = runtime.functions.Find(request.function);
  if (launch->function == nullptr) {
    return runtime.functions.NotFound("funcHandle", request.function);
  }
  if (request.num_blocks == 0 || request.num_blocks > kMaxBlocks) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "numBlocks = ", request.num_blocks, ": expected 1 to ",
                 kMaxBlocks);
  }
  if (request.args == nullptr && request.args_size > 0) return NullPointer("hostArgs");
  std::shared_ptr<Stream> stream;
  Result result = CheckConfig(request.cfg, request.num_blocks, runtime.device_config().num_cores);
  if (result.ok()) {
    result = CheckPlaceHolders(request.holders, request.num_holders, request.args_size);
  }
  if (result.ok()) result = runtime.FindStream(request.stream, &stream);
  if (!result.ok()) return result;

  launch->num_blocks = request.num_blocks;
  launch->device = &runtime.device(stream->device_id());
  const auto* bytes = static_cast<const unsigned char*>(request.args);
  launch->args.assign(bytes, bytes + request.args_size);
  result = PatchPlaceHolders(request.holders, request.num_holders, launch.get());
  if (!result.ok()) return result;
  const auto run = [launch] { return launch->Run(); };
  return runtime.captures.Enqueue(stream, {"kernel", launch->function->name, run});
}

namespace {

Result SyncRegisters(Runtime& runtime, const char* argument, void* out, void** address) {
  if (out == nullptr) return NullPointer(argument);
  DeviceState* device = nullptr;
  const Result result = runtime.CurrentDevice(&device);
  if (result.ok()) *address = device->sync_registers;
  return result;
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtBinaryLoadFromFile(const char* binPath, aclrtBinaryLoadOptions* options,
                                 aclrtBinHandle* binHandle) {
  return Call("aclrtBinaryLoadFromFile", [=](Runtime& runtime) {
    return vnpu_acl::LoadFile(runtime, binPath, options, binHandle);
  });
}

aclError aclrtBinaryLoadFromData(const void* data, size_t length,
                                 const aclrtBinaryLoadOptions* options, aclrtBinHandle* binHandle) {
  return Call("aclrtBinaryLoadFromData", [=](Runtime& runtime) {
    return vnpu_acl::LoadData(runtime, data, length, options, binHandle);
  });
}

aclError aclrtBinaryUnLoad(aclrtBinHandle binHandle) {
  return Call("aclrtBinaryUnLoad",
              [=](Runtime& runtime) { return vnpu_acl::Unload(runtime, binHandle); });
}

aclError aclrtBinaryGetFunction(const aclrtBinHandle binHandle, const char* kernelName,
                                aclrtFuncHandle* funcHandle) {
  return Call("aclrtBinaryGetFunction", [=](Runtime& runtime) {
    return vnpu_acl::GetFunction(runtime, binHandle, kernelName, funcHandle);
  });
}

aclError aclrtLaunchKernelWithHostArgs(aclrtFuncHandle funcHandle, uint32_t numBlocks,
                                       aclrtStream stream, aclrtLaunchKernelCfg* cfg,
                                       void* hostArgs, size_t argsSize,
                                       aclrtPlaceHolderInfo* placeHolderArray,
                                       size_t placeHolderNum) {
  return Call("aclrtLaunchKernelWithHostArgs", [=](Runtime& runtime) {
    return vnpu_acl::LaunchKernel(runtime, {funcHandle, numBlocks, stream, cfg, hostArgs, argsSize,
                                            placeHolderArray, placeHolderNum});
  });
}

aclError aclrtGetHardwareSyncAddr(void** addr) {
  return Call("aclrtGetHardwareSyncAddr", [=](Runtime& runtime) {
    return vnpu_acl::SyncRegisters(runtime, "addr", addr, addr);
  });
}

int32_t rtGetC2cCtrlAddr(uint64_t* addr, uint32_t* len) {
  return Call("rtGetC2cCtrlAddr", [=](Runtime& runtime) -> Result {
    if (len == nullptr) return vnpu_acl::NullPointer("len");
    void* address = nullptr;
    const Result result = vnpu_acl::SyncRegisters(runtime, "addr", addr, &address);
    if (!result.ok()) return result;
    *addr = reinterpret_cast<uint64_t>(address);
    *len = sizeof(vnpu_acl::DeviceState::sync_registers);
    return {};
  });
}

}  // extern "C"
