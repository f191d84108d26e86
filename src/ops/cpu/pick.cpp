#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

namespace {

RUNG_INLINE float dot(const float* a, const float* b, int64_t width) {
  F16 total = splat(0.0f);
  int64_t j = 0;
  for (; j + lanes <= width; j += lanes) total += load(a + j) * load(b + j);
  if (j < width) total += load_part(a + j, width - j) * load_part(b + j, width - j);
  return sum(total);
}

// y += c x.
RUNG_INLINE void add(float* y, const float* x, float c, int64_t width) {
  int64_t j = 0;
  for (; j + lanes <= width; j += lanes) store(y + j, load(y + j) + load(x + j) * c);
  for (; j < width; ++j) y[j] += x[j] * c;
}

// Rows are in no order that a processor could foresee: ask for one that comes soon.
constexpr int64_t ahead = 8;
RUNG_INLINE void fetch_ahead(const float* table, const int64_t* index, int64_t i, int64_t count,
                             int64_t width) {
  if (i + ahead >= count) return;
  const float* row = table + index[i + ahead] * width;
  for (int64_t j = 0; j < width; j += lanes) __builtin_prefetch(row + j);
}

}  // namespace

RUNG_MULTIVERSION
void pick_dots(const PickShape& s, const float* table, const int64_t* index, const float* x,
               float factor, float* a) {
  const int64_t count = s.rows * s.picks;
  for (int64_t i = 0; i < count; ++i) {
    fetch_ahead(table, index, i, count, s.width);
    a[i] = factor * dot(table + index[i] * s.width, x + i / s.picks * s.width, s.width);
  }
}

RUNG_MULTIVERSION
void pick_sum(const PickShape& s, const float* table, const int64_t* index, const float* w,
              float factor, float* y) {
  const int64_t count = s.rows * s.picks;
  for (int64_t j = 0; j < s.rows * s.width; ++j) y[j] = 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    fetch_ahead(table, index, i, count, s.width);
    add(y + i / s.picks * s.width, table + index[i] * s.width, factor * w[i], s.width);
  }
}

RUNG_MULTIVERSION
void pick_add(const PickShape& s, const int64_t* index, const float* a, const float* v,
              float factor, float* table) {
  const int64_t count = s.rows * s.picks;
  for (int64_t i = 0; i < count; ++i) {
    fetch_ahead(table, index, i, count, s.width);
    add(table + index[i] * s.width, v + i / s.picks * s.width, factor * a[i], s.width);
  }
}

}  // namespace rung::cpu
