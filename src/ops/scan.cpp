#include "ops/scan.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

// Steps (a, b) : h -> a h + b compose as (a2, b2)(a1, b1) = (a2 a1, a2 b1 + b2): after round k each
// place holds the composition of the 2^k steps that end there.
Tensor gated_scan_plain(const Tensor& f, const Tensor& c, const Tensor& first) {
  const int64_t time = f.size(2);
  Tensor a = f, b = (1.0 - f) * c;
  if (first.defined())
    b = at::cat(
        {b.narrow(2, 0, 1) + a.narrow(2, 0, 1) * first.unsqueeze(2), b.narrow(2, 1, time - 1)}, 2);
  for (int64_t reach = 1; reach < time; reach *= 2) {
    const int64_t rest = time - reach;
    const Tensor later = a.narrow(2, reach, rest);
    b = at::cat({b.narrow(2, 0, reach), b.narrow(2, reach, rest) + later * b.narrow(2, 0, rest)},
                2);
    a = at::cat({a.narrow(2, 0, reach), later * a.narrow(2, 0, rest)}, 2);
  }
  return b;
}

Tensor gated_scan(const Tensor& f, const Tensor& c, const Tensor& first) {
  const Span span("rung::recurrence");
  if constexpr (with_cuda)
    if (fused_on_cuda(c) && cuda::fits_gated_scan(f, c)) return cuda::gated_scan(f, c, first);
  if (!fused_on_cpu(f)) return gated_scan_plain(f, c, first);
  const int64_t sequences = f.size(0) * f.size(1), time = f.size(2), channels = f.size(3);
  const Tensor gate = f.detach().contiguous(), input = c.detach().contiguous();
  const Tensor start = first.defined() ? first.detach().contiguous() : Tensor();
  Tensor h = at::empty(gate.sizes(), gate.options());
  const auto at = [=](const Tensor& t, int64_t i, int64_t rows) {
    return t.defined() ? t.const_data_ptr<float>() + i * rows * channels : nullptr;
  };
  for (int64_t i = 0; i < sequences; ++i)
    cpu::gated_scan_forward(time, channels, at(gate, i, time), at(input, i, time), at(start, i, 1),
                            h.mutable_data_ptr<float>() + i * time * channels);
  record({h}, {f, c}, [=, kept = h.detach()](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].contiguous();
    Tensor df = at::empty_like(gate), dc = at::empty_like(gate);
    Tensor carry = at::empty({channels}, gate.options());
    for (int64_t i = 0; i < sequences; ++i)
      cpu::gated_scan_backward(
          time, channels, at(gate, i, time), at(input, i, time), at(start, i, 1), at(kept, i, time),
          at(dh, i, time), df.mutable_data_ptr<float>() + i * time * channels,
          dc.mutable_data_ptr<float>() + i * time * channels, carry.mutable_data_ptr<float>());
    return std::vector<Tensor>{df, dc};
  });
  return h;
}

}  // namespace rung
