#include "ops/arena.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "core/random.h"

namespace rung {

using at::Tensor;

namespace {

int64_t padded_size(const TensorSpec& spec) {
  constexpr int64_t unit = 128;
  return (spec.size() + unit - 1) / unit * unit;
}

}  // namespace

Layout make_layout(std::vector<TensorSpec> tensors, const Parametrisation& parametrisation,
                   const Dims& dims, std::string_view alignment) {
  Layout layout{.tensors = std::move(tensors)};
  layout.offsets.resize(layout.tensors.size());
  for (const TensorSpec& spec : layout.tensors)
    layout.factors.push_back(complete_factors(parametrisation, spec, dims, alignment));
  for (const bool frozen : {false, true}) {
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      if (layout.tensors[i].frozen != frozen) continue;
      layout.offsets[i] = layout.stride;
      layout.stride += padded_size(layout.tensors[i]);
    }
    if (!frozen) layout.trained = layout.stride;
  }
  return layout;
}

Layout trained_part(const Layout& layout) {
  Layout part{.stride = layout.trained, .trained = layout.trained};
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    if (layout.tensors[i].frozen) continue;
    part.tensors.push_back(layout.tensors[i]);
    part.factors.push_back(layout.factors[i]);
    part.offsets.push_back(layout.offsets[i]);
  }
  return part;
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
    const bool moves = gradients.defined() && !layout.tensors[i].frozen;
    weights.push_back({view(layout, values, i), moves ? view(layout, gradients, i) : Tensor(), f.A,
                       f.A_input, f.A_weight});
    const TensorSpec& spec = layout.tensors[i];
    if (spec.ternary)
      weights.back().ternary = std::make_shared<const std::vector<int64_t>>(
          spec.parts.empty() ? std::vector{spec.shape[0]} : spec.parts);
    weights.back().ternary_norm = spec.ternary_norm;
    weights.back().formats = spec.formats;
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
    const int64_t size = padded_size(layout.tensors[i]);
    for (int64_t begin = 0; begin < size; begin += piece_size)
      pieces.push_back({i, begin, std::min(size, begin + piece_size)});
  }
  return pieces;
}

// The mask's elements from `begin`, a multiple of 4: `cut(k)` for every k that stays zero.
template <class Cut>
void each_cut(const TensorSpec& spec, int64_t begin, int64_t end, uint64_t seed, Cut&& cut) {
  const auto kept = static_cast<uint64_t>(spec.density * 4294967296.0);  // of 2^32
  Random random(seed, "mask:" + spec.name);
  random.seek(static_cast<uint64_t>(begin / 4));
  for (int64_t k = begin; k < end; ++k)
    if (random.bits() >= kept) cut(k);
}

template <class T>
void fill(const Layout& layout, const Piece& piece, uint64_t seed, T* row) {
  const TensorSpec& spec = layout.tensors[piece.tensor];
  T* values = row + layout.offsets[piece.tensor];
  const int64_t end = std::min(piece.end, spec.size());
  if (spec.start) {
    for (int64_t k = piece.begin; k < end; ++k) {
      Random random(seed, "init:" + spec.name, static_cast<uint64_t>(k));
      values[k] = static_cast<T>(spec.start(spec, k, random));
    }
  } else if (spec.role == Role::gain || spec.role == Role::bias) {
    std::fill(values + piece.begin, values + end, spec.role == Role::gain ? T{1} : T{0});
  } else {
    const double deviation = layout.factors[piece.tensor].B;
    Random random(seed, "init:" + spec.name);
    random.seek(static_cast<uint64_t>(piece.begin / 2));
    for (int64_t k = piece.begin; k < end; ++k)
      values[k] = static_cast<T>(deviation * random.normal());
    if (spec.density < 1.0)
      each_cut(spec, piece.begin, end, seed, [&](int64_t k) { values[k] = T{0}; });
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

bool has_sparse(const Layout& layout) {
  return std::any_of(layout.tensors.begin(), layout.tensors.end(),
                     [](const TensorSpec& spec) { return spec.density < 1.0; });
}

void fill_mask(const Layout& layout, Tensor row, uint64_t seed) {
  Tensor host = at::ones({layout.stride}, at::kFloat);
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const TensorSpec& spec = layout.tensors[i];
    float* values = host.mutable_data_ptr<float>() + layout.offsets[i];
    if (spec.density < 1.0)
      each_cut(spec, 0, spec.size(), seed, [&](int64_t k) { values[k] = 0.0f; });
  }
  row.copy_(host);
}

}  // namespace rung
