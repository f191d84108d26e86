#include "ops/conv.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

namespace rung {

using at::Tensor;

std::pair<Tensor, Tensor> causal_conv(const Tensor& x, const Weight& filter, const Weight& bias,
                                      const Tensor& past) {
  const int64_t members = x.size(0), time = x.size(2), channels = x.size(3);
  const int64_t before = filter.value.size(2) - 1;
  const Tensor earlier =
      past.defined() ? past : at::zeros({members, x.size(1), before, channels}, x.options());
  const Tensor all = at::cat({earlier, x}, 2);
  const Tensor taps = multiplied(filter);
  Tensor y = multiplied(bias).view({members, 1, 1, channels});
  for (int64_t j = 0; j <= before; ++j)
    y = y + all.narrow(2, j, time) * taps.select(2, j).view({members, 1, 1, channels});
  return {y, all.narrow(2, time, before)};
}

}  // namespace rung
