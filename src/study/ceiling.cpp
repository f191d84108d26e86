#include "study/ceiling.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cmath>

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

// Mean rate of work(), whose tensor is as above, that goes on for about so many seconds.
template <class Work>
double kept_rate(double seconds, const Work& work) {
  const double once = least_seconds(8, work);
  const auto during = [&](double wanted) {
    const auto count = std::max<int64_t>(8, std::llround(wanted / once));
    const auto start = Clock::now();
    at::Tensor last;
    for (int64_t i = 0; i < count; ++i) last = work();
    (void)last.flatten().select(0, 0).to(at::kCPU);
    return static_cast<double>(count) / seconds_since(start);
  };
  during(0.2 * seconds);
  return during(seconds);
}

// While it lives, LibTorch's operations on this thread use so many threads.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

constexpr int64_t gpu_side = 8192, gpu_bytes = int64_t{1} << 30;  // many times the caches

}  // namespace

double kept_matmul(double seconds) {
  at::NoGradGuard off;
  const at::TensorOptions options = at::TensorOptions().device(at::kCUDA).dtype(at::kFloat);
  const auto numbers = [&] { return at::randn({gpu_side, gpu_side}, options).to(at::kBFloat16); };
  const at::Tensor a = numbers(), b = numbers();
  at::Tensor c = at::empty_like(a);
  const auto side = static_cast<double>(gpu_side);
  return 2.0 * side * side * side * kept_rate(seconds, [&] { return at::mm_out(c, a, b); });
}

double kept_copy(double seconds) {
  at::NoGradGuard off;
  const at::TensorOptions options = at::TensorOptions().device(at::kCUDA).dtype(at::kFloat);
  const at::Tensor from = at::randn({gpu_bytes / 4}, options);
  at::Tensor to = at::empty_like(from);
  return 2.0 * static_cast<double>(gpu_bytes) * kept_rate(seconds, [&] { return to.copy_(from); });
}

double matmul_ceiling(const std::string& device, const std::string& precision, int threads) {
  at::NoGradGuard off;
  const Threads own(threads);
  const bool cuda = device == "cuda";
  const int64_t n = cuda ? gpu_side : 768;
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
  const int64_t bytes = cuda ? gpu_bytes : int64_t{1} << 26;  // many times the caches
  const at::TensorOptions options = at::TensorOptions().device(device).dtype(at::kFloat);
  const at::Tensor from = at::ones({bytes / 4}, options);
  at::Tensor to = at::empty_like(from);
  return 2.0 * static_cast<double>(bytes) /
         least_seconds(cuda ? 16 : 1, [&] { return to.copy_(from); });
}

}  // namespace rung
