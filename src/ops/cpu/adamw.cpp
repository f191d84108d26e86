#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

RUNG_MULTIVERSION
void adamw(int64_t size, const AdamStep& step, const float* gradient, float* weight, float* m,
           float* v) {
  const float keep1 = 1.0f - step.beta1, keep2 = 1.0f - step.beta2;
  const float rate = step.lr / step.correction1;
  const float root = 1.0f / std::sqrt(step.correction2);
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * step.gradient_scale;
    const float first = step.beta1 * m[i] + keep1 * g;
    const float second = step.beta2 * v[i] + keep2 * (g * g);
    m[i] = first;
    v[i] = second;
    const float update = rate * first / (std::sqrt(second) * root + step.epsilon);
    weight[i] -= update + step.decay * weight[i];
  }
}

RUNG_MULTIVERSION
double reduce_lanes(int64_t size, int64_t count, int64_t stride, float* gradient) {
  double squares = 0.0;
  constexpr int64_t block = 4096;  // float sums stay short, so that the norm keeps its digits
  for (int64_t start = 0; start < size; start += block) {
    const int64_t stop = start + block < size ? start + block : size;
    for (int64_t lane = 1; lane < count; ++lane) {
      const float* other = gradient + lane * stride;
#pragma GCC ivdep
      for (int64_t i = start; i < stop; ++i) gradient[i] += other[i];
    }
    F16 partial{};
    int64_t i = start;
    for (; i + lanes <= stop; i += lanes) {
      const F16 g = load(gradient + i);
      partial += g * g;
    }
    for (; i < stop; ++i) squares += static_cast<double>(gradient[i]) * gradient[i];
    squares += static_cast<double>(sum(partial));
  }
  return squares;
}

}  // namespace rung::cpu
