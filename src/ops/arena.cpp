#include "ops/arena.h"

#include <ATen/ops/empty.h>

#include <algorithm>

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

namespace {

// A stretch of one tensor that one task fills; even starts keep pairs of normal numbers together.
struct Piece {
  size_t tensor;
  int64_t begin, end;  // elements; the last piece's end takes in the padding
};
constexpr int64_t piece_size = int64_t{1} << 16;

std::vector<Piece> cut(const Layout& layout) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const int64_t next = i + 1 < layout.tensors.size() ? layout.offsets[i + 1] : layout.stride;
    const int64_t size = next - layout.offsets[i];
    for (int64_t begin = 0; begin < size; begin += piece_size)
      pieces.push_back({i, begin, std::min(size, begin + piece_size)});
  }
  return pieces;
}

template <class T>
void fill(const Layout& layout, const Piece& piece, uint64_t seed, T* row) {
  const TensorSpec& spec = layout.tensors[piece.tensor];
  T* values = row + layout.offsets[piece.tensor];
  const int64_t end = std::min(piece.end, spec.size());
  if (spec.role == Role::gain || spec.role == Role::bias) {
    std::fill(values + piece.begin, values + end, spec.role == Role::gain ? T{1} : T{0});
  } else {
    const double deviation = layout.factors[piece.tensor].B;
    Random random(seed, "init:" + spec.name);
    random.seek(static_cast<uint64_t>(piece.begin / 2));
    for (int64_t k = piece.begin; k < end; ++k)
      values[k] = static_cast<T>(deviation * random.normal());
  }
  std::fill(values + end, values + piece.end, T{0});
}

}  // namespace

void initialise(const Layout& layout, Tensor row, uint64_t seed, const Parallel& parallel) {
  const Tensor host = at::empty({layout.stride}, row.options().device(at::kCPU));
  const std::vector<Piece> pieces = cut(layout);
  const auto task = [&](int64_t i) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    if (host.scalar_type() == at::kDouble)
      fill(layout, piece, seed, host.mutable_data_ptr<double>());
    else
      fill(layout, piece, seed, host.mutable_data_ptr<float>());
  };
  const int64_t count = static_cast<int64_t>(pieces.size());
  if (parallel)
    parallel(count, task);
  else
    for (int64_t i = 0; i < count; ++i) task(i);
  row.copy_(host);
}

}  // namespace rung
