#ifdef RUNG_CUDA
#include "ops/cuda/gated_scan.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_gated_scan(const Tensor& f, const Tensor& c) {
  return f.scalar_type() == at::kFloat &&
         (c.scalar_type() == at::kFloat || c.scalar_type() == at::kBFloat16);
}

Tensor gated_scan(const Tensor& f, const Tensor& c, const Tensor& first) {
  const ScanShape shape{f.size(0) * f.size(1), f.size(2), f.size(3)};
  Tensor gate, input, start, h;
  {
    at::NoGradGuard off;
    gate = f.detach().contiguous();
    input = c.detach().contiguous();
    if (first.defined()) start = first.detach().to(at::kFloat).contiguous();
    h = at::empty_like(input);
    gated_scan_forward(type_of(input), shape, floats(gate), data(input), floats(start), writable(h),
                       stream());
  }
  record({h}, {f, c}, [=, kept = h.detach()](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].contiguous();
    Tensor df = at::empty_like(gate), dc = at::empty_like(input);
    gated_scan_backward(type_of(input), shape, floats(gate), data(input), floats(start), data(kept),
                        data(dh), floats(df), writable(dc), stream());
    return std::vector<Tensor>{df, dc};
  });
  return h;
}

}  // namespace rung::cuda
#endif
