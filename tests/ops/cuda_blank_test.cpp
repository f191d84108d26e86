// Gradients that are not cleared before the first product adds to them.
#ifdef RUNG_CUDA
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "ops/cuda/blank.h"
#include "ops/linear.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

Tensor arena(int64_t members, int64_t elements, at::ScalarType type = at::kFloat) {
  return at::full({members, elements}, std::nan(""), at::device(at::kCUDA).dtype(type));
}

// [P, rows, columns] of an arena [P, n].
Tensor part(const Tensor& all, int64_t begin, int64_t rows, int64_t columns) {
  return all.as_strided({all.size(0), rows, columns}, {all.size(1), columns, 1}, begin);
}

}  // namespace

TEST_CASE("blank gradients on the GPU are written over once, and then added to") {
  if (no_gpu()) return;
  struct Types {
    at::ScalarType product, gradient;
    double once, twice;  // errors of one and of two roundings
  };
  for (const auto& [type, sum, least, most] :
       {Types{at::kFloat, at::kFloat, 1e-5, 1e-5}, Types{at::kBFloat16, at::kFloat, 1e-5, 1e-5},
        Types{at::kBFloat16, at::kBFloat16, 4e-3, 6e-3}})
    for (const int64_t members : {1, 3}) {
      const Tensor all = arena(members, 4096, sum);
      const Weight w{.value = at::zeros({members, 24, 32}, all.options().dtype(type)),
                     .gradient = part(all, 128, 24, 32),
                     .A_weight = 0.5};
      const Tensor dy = normal({members, 40, 24}, 1).to(at::kCUDA).to(type),
                   x = normal({members, 40, 32}, 2).to(at::kCUDA).to(type);
      const cuda::BlankGradients blank({w.gradient});
      add_weight_gradient(w, dy, x);
      const Tensor once = w.gradient.clone();
      add_weight_gradient(w, dy, x);
      const Tensor exact = dy.to(at::kDouble).transpose(1, 2).matmul(x.to(at::kDouble)) * 0.5;
      CHECK(distance(once, exact) < least);
      CHECK(distance(w.gradient, exact * 2.0) < most);
      // Nothing beside it.
      CHECK(all.narrow(1, 0, 128).isnan().all().item<bool>());
      CHECK(all.narrow(1, 128 + 24 * 32, 64).isnan().all().item<bool>());
    }
}

TEST_CASE("blank gradients on the GPU are cleared where a part is added to, and at the end") {
  if (no_gpu()) return;
  const Tensor all = arena(1, 4096);
  const Tensor first = part(all, 0, 16, 32), second = part(all, 512, 16, 32),
               third = part(all, 1024, 16, 32);
  cuda::BlankGradients blank({first, second, third});
  CHECK_FALSE(writes_over(first.narrow(1, 4, 8)));
  CHECK(first.abs().max().item<double>() == 0.0);
  CHECK_FALSE(writes_over(first));
  CHECK(writes_over(second));
  CHECK_FALSE(writes_over(second));
  CHECK(second.isnan().all().item<bool>());
  blank.clear_rest();
  CHECK(third.abs().max().item<double>() == 0.0);
  CHECK(second.isnan().all().item<bool>());
  CHECK_FALSE(writes_over(third));
  {
    const cuda::BlankGradients over_two({first, second});
    CHECK_FALSE(writes_over(part(all, 0, 32, 32)));
    CHECK(second.abs().max().item<double>() == 0.0);
  }
  CHECK_FALSE(writes_over(first));  // none is blank any more
}
#endif
