#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

// Sums and differences of neighbours 1, 2, 4, ... apart; the last pass scales.
RUNG_MULTIVERSION void hadamard(int64_t rows, int64_t n, float* x) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(n));
  for (int64_t row = 0; row < rows; ++row, x += n) {
    for (int64_t half = 1; half < n; half *= 2)
      for (int64_t begin = 0; begin < n; begin += 2 * half) {
        float *a = x + begin, *b = a + half;
        for (int64_t i = 0; i < half; ++i) {
          const float sum = a[i] + b[i], difference = a[i] - b[i];
          a[i] = sum;
          b[i] = difference;
        }
      }
    for (int64_t i = 0; i < n; ++i) x[i] *= scale;
  }
}

}  // namespace rung::cpu
