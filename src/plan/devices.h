// Accelerators by name: what a training run's wall time, its memory and the speed of generation
// follow from. Peaks are dense (without structured sparsity), of one device.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace rung {

struct Device {
  std::string_view name;
  double bf16 = 0.0, fp8 = 0.0;  // FLOP/s; fp8 is 0 where the device has none
  double memory = 0.0;           // bytes
  double bandwidth = 0.0;        // of the memory, bytes/s
  std::string_view source;
};

std::span<const Device> devices();

// Several devices of one kind. Zeros are unknown.
struct Hardware {
  std::string name{};
  double count = 1.0;
  double bf16 = 0.0, fp8 = 0.0, memory = 0.0, bandwidth = 0.0;  // of one
};

// `h100:64`, or `h100` for one. With `other` a name that is not in the table is allowed and has
// zeros. Usage errors name the nearest device.
Hardware parse_hardware(const std::string& text, bool other = false);

// Seconds of `30d`, `12h`, `90min`, `45s`; usage error otherwise, plain numbers included.
double parse_time(const std::string& text);

// `30 d`, `4.2 h`, `12 min`, `31 s`.
std::string time_text(double seconds);

}  // namespace rung
