#include "ops/top_sums.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/topk.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/dispatch.h"

namespace rung {

using at::Tensor;

TopSums top_sums_plain(const Tensor& a, const Tensor& b, int64_t k) {
  at::NoGradGuard off;
  const auto [x, i] = at::topk(a.detach(), k, -1);
  const auto [y, j] = at::topk(b.detach(), k, -1);
  const Tensor sums = (x.unsqueeze(-1) + y.unsqueeze(-2)).flatten(-2);
  const Tensor place = std::get<1>(at::topk(sums, k, -1));
  return {i.gather(-1, place.floor_divide(k)), j.gather(-1, place.remainder(k))};
}

TopSums top_sums(const Tensor& a, const Tensor& b, int64_t k) {
  if (!fused_on_cpu(a)) return top_sums_plain(a, b, k);
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  const auto sizes = {a.size(0), a.size(1), k};
  TopSums top{at::empty(sizes, x.options().dtype(at::kLong)),
              at::empty(sizes, x.options().dtype(at::kLong))};
  cpu::top_sums(a.size(0) * a.size(1), a.size(2), k, x.const_data_ptr<float>(),
                y.const_data_ptr<float>(), top.first.mutable_data_ptr<int64_t>(),
                top.second.mutable_data_ptr<int64_t>());
  return top;
}

Tensor gathered(const Tensor& x, const Tensor& index) {
  if constexpr (with_cuda)
    if (x.is_cuda() && x.scalar_type() == at::kFloat) return cuda::gathered(x, index);
  return x.gather(-1, index);
}

}  // namespace rung
