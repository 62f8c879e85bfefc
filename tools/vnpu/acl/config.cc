// SPDX-License-Identifier: Apache-2.0
// Environment to configuration.
#include "tools/vnpu/acl/config.h"

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <string>

#include "tools/vnpu/core/soc.h"

namespace vnpu_acl {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

Result ReadSoc(vnpu::DeviceConfig* device) {
  const char* name = std::getenv("ASCEND_ATTENTION_VNPU_SOC");
  if (name == nullptr) name = vnpu::kSocs[0].name;
  if (vnpu::ConfigureSoc(name, device)) return {};
  return Error(ACL_ERROR_RT_DEV_SETUP_ERROR, "environment variable ASCEND_ATTENTION_VNPU_SOC = '",
               name, "': expected one of ", vnpu::SocNames());
}

// Leaves *value alone if the variable is not set.
template <typename Number>
Result ReadInteger(const char* variable, uint64_t min, uint64_t max, Number* value) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return {};
  char* end = nullptr;
  errno = 0;
  const unsigned long long parsed = std::strtoull(text, &end, 10);
  const bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
  if (!is_number || parsed < min || parsed > max) {
    return Error(ACL_ERROR_RT_DEV_SETUP_ERROR, "environment variable ", variable, " = '", text,
                 "': expected an integer from ", min, " to ", max);
  }
  *value = static_cast<Number>(parsed);
  return {};
}

// "race,memory", "all" or "none".
Result ReadChecks(vnpu::SessionOptions* checks) {
  checks->race = checks->memory = false;
  checks->keep_launches = 1;  // findings reach the caller as errors
  const char* text = std::getenv("ASCEND_ATTENTION_VNPU_CHECK");
  if (text == nullptr || std::string(text) == "none") return {};
  std::istringstream words(text);
  std::string word;
  while (std::getline(words, word, ',')) {
    if (word == "race" || word == "all") checks->race = true;
    if (word == "memory" || word == "all") checks->memory = true;
    if (word == "race" || word == "memory" || word == "all") continue;
    return Error(ACL_ERROR_RT_DEV_SETUP_ERROR,
                 "environment variable ASCEND_ATTENTION_VNPU_CHECK = '", text,
                 "': expected none, all, or a list of race, memory");
  }
  return {};
}

}  // namespace

std::string ConfigText(const Config& config) {
  const vnpu::DeviceConfig& device = config.device;
  const bool race = config.checks.race, memory = config.checks.memory;
  std::ostringstream text;
  text << "devices=" << config.num_devices << " soc=" << device.soc_name
       << " cores=" << device.num_cores << " hbm_bytes=" << device.hbm_bytes
       << " threads=" << device.host_threads << " timeout_seconds=" << device.launch_timeout_seconds
       << " check="
       << (race && memory ? "all"
           : race         ? "race"
           : memory       ? "memory"
                          : "none");
  return text.str();
}

Result ReadConfig(Config* config) {
  vnpu::DeviceConfig& device = config->device;
  Result result = ReadSoc(&device);
  if (result.ok()) {
    result = ReadInteger("ASCEND_ATTENTION_VNPU_CORES", 1, 128, &device.num_cores);
  }
  if (result.ok()) {
    result = ReadInteger("ASCEND_ATTENTION_VNPU_HBM_BYTES", kMiB, 1024 * kGiB, &device.hbm_bytes);
  }
  if (result.ok()) {
    result = ReadInteger("ASCEND_ATTENTION_VNPU_THREADS", 0, 1024, &device.host_threads);
  }
  if (result.ok()) {
    result = ReadInteger("ASCEND_ATTENTION_VNPU_TIMEOUT_SECONDS", 0, 86400,
                         &device.launch_timeout_seconds);
  }
  if (result.ok()) {
    result = ReadInteger("ASCEND_ATTENTION_VNPU_DEVICES", 1, kMaxDevices, &config->num_devices);
  }
  if (result.ok()) result = ReadChecks(&config->checks);
  return result;
}

}  // namespace vnpu_acl
