// SPDX-License-Identifier: Apache-2.0
// A virtual A2: global memory plus N cores, and the launch of a kernel on them.
// This is the whole surface that the ACL layer and the tests use.
#ifndef VNPU_CORE_DEVICE_H_
#define VNPU_CORE_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vnpu {

class Observer;
struct CoreId;
struct Instruction;

// Changes the instruction stream of kernels as they issue it: mutation tests.
// Called before any observer sees the instruction, from several host threads
// unless an observer forbids it.
class StreamFilter {
 public:
  enum class Action { kKeep, kDrop };
  virtual ~StreamFilter() = default;
  // `args` are the instruction's own and may be changed.
  virtual Action OnIssue(const CoreId& core, const Instruction& in, int64_t* args) = 0;
};

// What a kernel may do with a named part of GM.
enum class RegionRule {
  kReadWrite,
  kReadOnly,
  kOutput,    // every byte the kernel stores must be defined
  kNoAccess,  // guard zone
};

struct Region {
  uint64_t begin = 0;
  uint64_t bytes = 0;
  std::string name;
  RegionRule rule = RegionRule::kReadWrite;
  uint64_t end() const { return begin + bytes; }
};

// A live piece of GM.
struct Allocation {
  uint64_t begin = 0;
  uint64_t bytes = 0;    // as asked for
  uint64_t id = 0;       // counts allocations of the device from 0
  uint64_t padding = 0;  // accessible bytes behind them that nobody asked for
  uint64_t end() const { return begin + bytes; }
  uint64_t limit() const { return begin + bytes + padding; }
};

struct DeviceConfig {
  std::string soc_name = "Ascend910B1";
  uint32_t num_cores = 24;  // one AIC and two AIVs each
  uint64_t hbm_bytes = uint64_t{64} << 30;
  uint64_t l2_bytes = uint64_t{192} << 20;
  uint32_t host_threads = 0;          // 0: one per host core
  double launch_timeout_seconds = 0;  // a longer launch ends as a deadlock; 0: no limit
};

// A loaded kernel binary: a shared object built by the vnpu toolchain.
class KernelModule {
 public:
  // On failure returns null and sets *error to one line that says what to do.
  static std::shared_ptr<KernelModule> LoadFile(const std::string& path, std::string* error);
  static std::shared_ptr<KernelModule> LoadBytes(const void* data, size_t size, std::string* error);
  virtual ~KernelModule() = default;
  // `name` as registered on the device: "<entry>_<key>", e.g. "decode_f16_0".
  // Null if the module has no such entry.
  virtual const class Kernel* Find(const std::string& name) const = 0;
};

enum class FaultKind {
  kNone,
  kException,  // bad access, unsupported argument, finding of a checker (507015)
  kTrap,       // the kernel called trap() (507016)
  kDeadlock,   // no core can go on (507014)
};

struct LaunchResult {
  FaultKind fault = FaultKind::kNone;
  std::string text;  // the report; empty without a fault
  // What hardware lets pass but nobody wants, one text per place: division by zero.
  std::vector<std::string> notes;
};

class Device {
 public:
  explicit Device(const DeviceConfig& config);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceConfig& config() const;

  // Global memory. Addresses are host addresses, 512-byte aligned, reserved
  // lazily. Null when `bytes` no longer fits into hbm_bytes. `padding` bytes
  // behind them do not fault, as with ACL's allocator, but belong to nobody.
  void* Allocate(uint64_t bytes, uint64_t padding = 0);
  bool Free(void* address);
  uint64_t free_bytes() const;
  // True if [address, address + bytes) lies inside one live allocation.
  bool Contains(const void* address, uint64_t bytes) const;

  // Virtual memory management. Reserve takes a range of addresses, aligned, that
  // holds nothing; Map puts `bytes` of a file (of memory) there, Unmap takes
  // exactly such a piece out. Pieces that touch are one allocation to kernels.
  // Both want multiples of the host's page. False: not in a reserved range, or
  // (Release) something is mapped there. Physical memory is counted by Charge,
  // which fails when it does not fit into hbm_bytes.
  void* Reserve(uint64_t bytes, uint64_t alignment);
  bool Release(void* begin);
  bool Map(void* begin, uint64_t bytes, int file, uint64_t offset);
  bool Unmap(void* begin, uint64_t bytes);
  bool Charge(uint64_t bytes);
  void Refund(uint64_t bytes);

  // Names [begin, begin + bytes) in reports, and says what kernels may do there;
  // a later name replaces earlier ones that it overlaps. Freeing an allocation
  // ends the names in it. False if the range lies in no live allocation.
  bool NameRegion(const void* begin, uint64_t bytes, const std::string& name, RegionRule rule);
  void ClearRegions(const void* begin, uint64_t bytes);
  // The region that holds `address`, if any.
  bool FindRegion(uint64_t address, Region* region) const;
  // All named regions and all live allocations, by address.
  std::vector<Region> Regions() const;
  std::vector<Allocation> Allocations() const;
  // "key_cache + 512 (allocation #2, 4096 bytes)"; without a name, the allocation.
  std::string Describe(uint64_t address) const;

  // Tells observers that the host has written these bytes, or that kernels must
  // not depend on what they hold. Fresh allocations are undefined.
  void SetDefined(const void* begin, uint64_t bytes, bool defined);
  // True while any observer is attached.
  bool observed() const;

  // Null: none. The caller keeps ownership.
  void SetStreamFilter(StreamFilter* filter);

  // The address that kernels get for set_ffts_base_addr: another one, but null,
  // is then a fault. Null: not known, which is how a device starts.
  void SetSyncAddress(const void* address);

  // Observers see every launch from now on; the caller keeps ownership.
  void AddObserver(Observer* observer);
  void RemoveObserver(Observer* observer);

  // Runs the kernel to the end. `args` is the C struct of the entry's
  // parameters in order, naturally aligned. Thread-safe; launches of one
  // device run one after the other.
  LaunchResult Launch(const Kernel& kernel, uint32_t num_blocks, const void* args,
                      size_t args_size);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vnpu

#endif  // VNPU_CORE_DEVICE_H_
