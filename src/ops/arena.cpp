#include "ops/arena.h"

#include <ATen/ops/zeros.h>

#include "core/random.h"

namespace rung {

using at::Tensor;

Layout make_layout(std::vector<TensorSpec> tensors, const Parametrisation& parametrisation,
                   const Dims& dims, std::string_view alignment) {
  constexpr int64_t unit = 128;
  Layout layout{.tensors = std::move(tensors)};
  for (const TensorSpec& spec : layout.tensors) {
    layout.factors.push_back(parametrisation.factors(spec, dims, alignment));
    layout.offsets.push_back(layout.stride);
    layout.stride += (spec.size() + unit - 1) / unit * unit;
  }
  return layout;
}

Tensor view(const Layout& layout, const Tensor& arena, size_t index) {
  std::vector<int64_t> shape{arena.size(0)}, strides{arena.stride(0)};
  const TensorSpec& spec = layout.tensors[index];
  int64_t stride = spec.size();
  for (const int64_t dim : spec.shape) {
    stride /= dim;
    shape.push_back(dim);
    strides.push_back(stride);
  }
  return arena.as_strided(shape, strides, arena.storage_offset() + layout.offsets[index]);
}

std::vector<Weight> bind(const Layout& layout, const Tensor& values, const Tensor& gradients) {
  std::vector<Weight> weights;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const Factors& f = layout.factors[i];
    weights.push_back({view(layout, values, i),
                       gradients.defined() ? view(layout, gradients, i) : Tensor(), f.A, f.A_input,
                       f.A_weight});
  }
  return weights;
}

void initialise(const Layout& layout, Tensor row, uint64_t seed) {
  const Tensor host = at::zeros({layout.stride}, row.options().device(at::kCPU).dtype(at::kDouble));
  double* values = host.mutable_data_ptr<double>();
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const TensorSpec& spec = layout.tensors[i];
    double* begin = values + layout.offsets[i];
    if (spec.role == Role::gain) std::fill(begin, begin + spec.size(), 1.0);
    if (spec.role == Role::gain || spec.role == Role::bias) continue;
    const double deviation = layout.factors[i].B;
    Random random(seed, "init:" + spec.name);
    for (int64_t k = 0; k < spec.size(); ++k) begin[k] = deviation * random.normal();
  }
  row.copy_(host);
}

}  // namespace rung
