#include "plan/devices.h"

#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"
#include "core/number.h"

namespace rung {
namespace {

// Makers' data sheets; their sparse peaks are halved.
constexpr std::array device_table = {
    Device{"a100", 312e12, 0, 80e9, 2.039e12, "NVIDIA A100 80GB SXM data sheet"},
    Device{"h100", 989.4e12, 1978.9e12, 80e9, 3.35e12, "NVIDIA H100 SXM data sheet"},
    Device{"h100-pcie", 756e12, 1513e12, 80e9, 2.0e12, "NVIDIA H100 PCIe data sheet"},
    Device{"h200", 989.4e12, 1978.9e12, 141e9, 4.8e12, "NVIDIA H200 SXM data sheet"},
    Device{"b200", 2250e12, 4500e12, 180e9, 8.0e12, "NVIDIA DGX B200 data sheet, an eighth"},
    Device{"mi300x", 1307.4e12, 2614.9e12, 192e9, 5.3e12, "AMD Instinct MI300X data sheet"},
    Device{"tpu-v4", 275e12, 0, 32e9, 1.228e12, "Google Cloud TPU v4 documentation"},
    Device{"tpu-v5p", 459e12, 0, 95e9, 2.765e12, "Google Cloud TPU v5p documentation"},
};

}  // namespace

std::span<const Device> devices() {
  return device_table;
}

Hardware parse_hardware(const std::string& text, bool other) {
  const size_t colon = text.find(':');
  Hardware hardware{.name = text.substr(0, colon)};
  if (colon != std::string::npos) {
    const auto count = parse_number(text.substr(colon + 1));
    if (!count || *count < 1.0 || *count != std::floor(*count))
      fail_usage("[plan] Hardware is NAME:COUNT, as h100:64. Received {}.", text);
    hardware.count = *count;
  }
  std::vector<std::string> names;
  for (const Device& device : device_table) {
    if (device.name == hardware.name) {
      hardware.bf16 = device.bf16;
      hardware.fp8 = device.fp8;
      hardware.memory = device.memory;
      hardware.bandwidth = device.bandwidth;
      return hardware;
    }
    names.emplace_back(device.name);
  }
  if (!other)
    fail_usage(
        "[plan] No device is called so. Received {}.{} Known are {}; for others give --peak-flops.",
        hardware.name, suggestion(hardware.name, names), fmt::join(names, ", "));
  return hardware;
}

double parse_time(const std::string& text) {
  const auto seconds = parse_seconds(text);
  if (!seconds || !(*seconds > 0.0))
    fail_usage("[plan] A time is a number with d, h, min, s or ms, as 30d. Received {}.", text);
  return *seconds;
}

std::string time_text(double seconds) {
  if (seconds >= 2.0 * 86400.0) return fmt::format("{:.3g} d", seconds / 86400.0);
  if (seconds >= 2.0 * 3600.0) return fmt::format("{:.3g} h", seconds / 3600.0);
  if (seconds >= 120.0) return fmt::format("{:.3g} min", seconds / 60.0);
  return fmt::format("{:.3g} s", seconds);
}

}  // namespace rung
