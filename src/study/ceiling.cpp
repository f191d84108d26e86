#include "study/ceiling.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>

#include <algorithm>

#include "core/clock.h"

namespace rung {

namespace {

// Least seconds of work(), which returns a tensor it wrote last. Reading one of its elements waits
// for a GPU, so `repeat` calls share a reading.
template <class Work>
double least_seconds(int repeat, const Work& work) {
  const auto once = [&] {
    const auto start = Clock::now();
    at::Tensor last;
    for (int i = 0; i < repeat; ++i) last = work();
    (void)last.flatten().select(0, 0).to(at::kCPU);
    return seconds_since(start) / repeat;
  };
  once();
  double best = once();
  const auto begin = Clock::now();
  while (seconds_since(begin) < 0.15) best = std::min(best, once());
  return best;
}

}  // namespace

double matmul_ceiling(const std::string& device, const std::string& precision) {
  at::NoGradGuard off;
  const bool cuda = device == "cuda";
  const int64_t n = cuda ? 8192 : 768;
  const at::ScalarType type = precision == "fp64"           ? at::kDouble
                              : cuda && precision != "fp32" ? at::kBFloat16
                                                            : at::kFloat;
  const at::TensorOptions options = at::TensorOptions().device(device).dtype(at::kFloat);
  const at::Tensor a = at::rand({n, n}, options).to(type), b = at::rand({n, n}, options).to(type);
  const double side = static_cast<double>(n);
  return 2.0 * side * side * side / least_seconds(cuda ? 8 : 1, [&] { return at::mm(a, b); });
}

double copy_ceiling(const std::string& device) {
  at::NoGradGuard off;
  const bool cuda = device == "cuda";
  const int64_t bytes = int64_t{1} << (cuda ? 30 : 26);  // many times the caches
  const at::TensorOptions options = at::TensorOptions().device(device).dtype(at::kFloat);
  const at::Tensor from = at::ones({bytes / 4}, options);
  at::Tensor to = at::empty_like(from);
  return 2.0 * static_cast<double>(bytes) /
         least_seconds(cuda ? 16 : 1, [&] { return to.copy_(from); });
}

}  // namespace rung
