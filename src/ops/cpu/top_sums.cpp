#include <algorithm>
#include <limits>
#include <vector>

#include "ops/cpu/kernels.h"

namespace rung::cpu {
namespace {

// The k largest so far, largest first; of equals the earlier. Most of a long list is turned away
// at the first comparison.
struct Best {
  explicit Best(int64_t k) : value(static_cast<std::size_t>(k)), place(value.size()) {}
  void clear() {
    std::fill(value.begin(), value.end(), -std::numeric_limits<float>::infinity());
    std::fill(place.begin(), place.end(), 0);
  }
  void offer(float v, int64_t at) {
    if (!(v > value.back())) return;
    std::size_t i = value.size() - 1;
    for (; i > 0 && v > value[i - 1]; --i) {
      value[i] = value[i - 1];
      place[i] = place[i - 1];
    }
    value[i] = v;
    place[i] = at;
  }
  std::vector<float> value;
  std::vector<int64_t> place;
};

}  // namespace

void top_sums(int64_t rows, int64_t n, int64_t k, const float* a, const float* b, int64_t* first,
              int64_t* second) {
  Best x(k), y(k), sums(k);
  for (int64_t row = 0; row < rows; ++row, a += n, b += n, first += k, second += k) {
    for (Best* best : {&x, &y, &sums}) best->clear();
    for (int64_t i = 0; i < n; ++i) x.offer(a[i], i);
    for (int64_t i = 0; i < n; ++i) y.offer(b[i], i);
    // The pair (i, j) has (i + 1) (j + 1) - 1 pairs that are no smaller.
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; (i + 1) * (j + 1) <= k; ++j)
        sums.offer(x.value[static_cast<std::size_t>(i)] + y.value[static_cast<std::size_t>(j)],
                   i * k + j);
    for (int64_t s = 0; s < k; ++s) {
      const int64_t pair = sums.place[static_cast<std::size_t>(s)];
      first[s] = x.place[static_cast<std::size_t>(pair / k)];
      second[s] = y.place[static_cast<std::size_t>(pair % k)];
    }
  }
}

}  // namespace rung::cpu
