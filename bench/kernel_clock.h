// The time of a kernel that is launched alone, and its energy.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/power_meter.h"
#include "device_buffers.h"

namespace rung {

// The least time of a launch in microseconds, over 8 turns of 4 each.
template <class Launch>
double least_microseconds(const Launch& launch) {
  constexpr int turns = 8, launches = 4;
  cudaEvent_t begin = nullptr, end = nullptr;
  check_cuda(cudaEventCreate(&begin));
  check_cuda(cudaEventCreate(&end));
  float least = 1e9f;
  for (int turn = 0; turn < turns; ++turn) {
    check_cuda(cudaEventRecord(begin));
    for (int i = 0; i < launches; ++i) launch();
    check_cuda(cudaEventRecord(end));
    check_cuda(cudaEventSynchronize(end));
    float ms = 0.0f;
    check_cuda(cudaEventElapsedTime(&ms, begin, end));
    least = std::min(least, ms / launches);
  }
  check_cuda(cudaEventDestroy(begin));
  check_cuda(cudaEventDestroy(end));
  return 1e3 * static_cast<double>(least);
}

// A launch that goes on and on: its microseconds, and what the card draws meanwhile. Four launches
// and more are on their way at any time.
struct KeptUp {
  double microseconds;
  PowerUse use;
};
template <class Launch>
KeptUp kept_up(double seconds, const Launch& launch) {
  char address[32] = {};
  check_cuda(cudaDeviceGetPCIBusId(address, sizeof address, 0));
  PowerMeter meter(address);
  const double least = least_microseconds(launch);
  const auto during = [&](double wanted) {
    const auto count = std::max<int64_t>(4, std::llround(1e6 * wanted / least));
    const auto start = Clock::now();
    for (int64_t i = 0; i < count; ++i) launch();
    check_cuda(cudaDeviceSynchronize());
    return 1e6 * seconds_since(start) / static_cast<double>(count);
  };
  during(0.3 * seconds);
  meter.begin();
  const double each = during(seconds);
  return {each, meter.end()};
}

}  // namespace rung
