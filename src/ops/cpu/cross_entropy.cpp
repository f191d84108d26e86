#include <cmath>
#include <limits>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

RUNG_MULTIVERSION
void cross_entropy(int64_t rows, int64_t vocabulary, float* logits, const int64_t* targets,
                   float scale, float* loss) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  for (int64_t row = 0; row < rows; ++row, logits += vocabulary) {
    const int64_t whole = vocabulary / lanes * lanes, rest = vocabulary - whole;
    F16 top = splat(lowest);
    for (int64_t j = 0; j < whole; j += lanes) top = max(top, load(logits + j));
    if (rest) top = max(top, load_part(logits + whole, rest, lowest));
    const float peak = maximum(top);
    const float wanted = logits[targets[row]];
    // exp goes to the buffer itself: the softmax needs it again, and a NaN anywhere reaches the
    // loss.
    F16 total{};
    for (int64_t j = 0; j < whole; j += lanes) {
      const F16 v = load(logits + j);
      F16 e = exp(v - peak);
      e = v == v ? e : v;
      store(logits + j, e);
      total += e;
    }
    float tail = 0.0f;
    for (int64_t j = whole; j < vocabulary; ++j) {
      logits[j] = std::exp(logits[j] - peak);
      tail += logits[j];
    }
    const float normaliser = sum(total) + tail;
    loss[row] = std::log(normaliser) + peak - wanted;
    if (scale == 0.0f) continue;
    const float factor = scale / normaliser;
    for (int64_t j = 0; j < whole; j += lanes) store(logits + j, load(logits + j) * factor);
    for (int64_t j = whole; j < vocabulary; ++j) logits[j] *= factor;
    logits[targets[row]] -= scale;
  }
}

}  // namespace rung::cpu
