#include "ops/rope.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rung {

using at::Tensor;

namespace {

void scale(Tensor frequency, const RopeOptions& o) {
  if (o.original == 0) {
    frequency.div_(o.factor);
    return;
  }
  double* f = frequency.mutable_data_ptr<double>();
  for (int64_t d = 0; d < frequency.numel(); ++d) {
    const double turns = static_cast<double>(o.original) * f[d] / (2.0 * std::numbers::pi);
    const double kept = std::clamp((turns - o.low) / (o.high - o.low), 0.0, 1.0);
    f[d] *= (1.0 - kept) / o.factor + kept;
  }
}

}  // namespace

Rope make_rope(int64_t time, int64_t head_dim, const at::TensorOptions& options,
               const RopeOptions& rope, int64_t start) {
  const auto wide = options.dtype(at::kDouble);
  const Tensor position = at::arange(start, start + time, wide);
  Tensor frequency = at::exp(at::arange(head_dim / 2, wide.device(at::kCPU)) *
                             (-2.0 * std::log(rope.theta) / static_cast<double>(head_dim)));
  if (rope.factor != 1.0) scale(frequency, rope);
  const Tensor angle = at::outer(position, frequency.to(position.device()));
  return {at::cos(angle).to(options.dtype()), at::sin(angle).to(options.dtype())};
}

Tensor rotated(const Tensor& x, const Rope& rope) {
  if (!rope.cosine.defined()) return x;
  const int64_t half = x.size(-1) / 2;
  const Tensor c = rope.cosine.to(x.scalar_type()).view({1, 1, x.size(2), 1, half}),
               s = rope.sine.to(x.scalar_type()).view({1, 1, x.size(2), 1, half});
  const Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  const Tensor first = a * c - b * s;
  const Tensor second = b * c + a * s;
  return at::cat({first, second}, -1);
}

}  // namespace rung
