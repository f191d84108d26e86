// What a GPU draws and how fast it runs meanwhile, by NVML: at its power limit it lowers its
// clocks, and then a step takes as long as the energy that it needs.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace rung {

// Means over samples whose watts could be read; all is 0 without any.
struct PowerUse {
  double watts = 0.0, limit_watts = 0.0;
  double clock = 0.0, top_clock = 0.0;  // of the multiprocessors, Hz
  double limited = 0.0;  // share of samples in which the power limit held clocks down
  int64_t samples = 0;
};

class PowerMeter {
 public:
  // The GPU by its PCI address as CUDA writes it. Without the driver's library, or where it does
  // not know that GPU, nothing is ever read.
  explicit PowerMeter(const std::string& pci_address);
  ~PowerMeter();
  PowerMeter(const PowerMeter&) = delete;
  PowerMeter& operator=(const PowerMeter&) = delete;

  // Samples every 20 ms from begin() to end(), which leaves out those of the first `skip` seconds.
  void begin();
  PowerUse end(double skip = 0.0);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rung
