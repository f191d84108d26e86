#include "ops/gradient_arena.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>

namespace rung {

using at::Tensor;

namespace {

constexpr int64_t arena_unit = 128;

int64_t units_of(const TensorSpec& spec) {
  return (spec.size() + arena_unit - 1) / arena_unit;
}

}  // namespace

GradientArena make_gradient_arena(const Layout& layout, const std::vector<size_t>& half,
                                  int64_t members, const at::TensorOptions& options) {
  GradientArena arena;
  arena.begin.resize(layout.tensors.size());
  arena.is_half.resize(layout.tensors.size());
  for (const size_t i : half) arena.is_half[i] = !layout.tensors[i].frozen;
  const Tensor places = at::empty({layout.trained / arena_unit}, at::kInt);
  int* const place = places.mutable_data_ptr<int>();
  std::array<int64_t, 2> units{};  // of either buffer so far
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    if (layout.tensors[i].frozen) continue;
    int64_t& next = units[arena.is_half[i] ? 1 : 0];
    arena.begin[i] = next * arena_unit;
    for (int64_t k = 0; k < units_of(layout.tensors[i]); ++k, ++next)
      place[layout.offsets[i] / arena_unit + k] =
          static_cast<int>(arena.is_half[i] ? -1 - next : next);
  }
  const auto zeros = [&](int64_t count, at::ScalarType type) {
    return at::zeros({members, std::max<int64_t>(count, 1) * arena_unit}, options.dtype(type));
  };
  arena.wide = zeros(units[0], at::kFloat);
  arena.half = zeros(units[1], at::kBFloat16);
  arena.places = places.to(options.device());
  return arena;
}

Tensor view(const Layout& layout, const GradientArena& arena, size_t index) {
  if (layout.tensors[index].frozen) return {};
  Layout own{.tensors = {layout.tensors[index]}, .offsets = {arena.begin[index]}};
  return view(own, arena.is_half[index] ? arena.half : arena.wide, 0);
}

Tensor joined(const Layout& layout, const GradientArena& arena) {
  const Tensor all = at::zeros({arena.wide.size(0), layout.stride}, arena.wide.options());
  for (size_t i = 0; i < layout.tensors.size(); ++i)
    if (!layout.tensors[i].frozen) view(layout, all, i).copy_(view(layout, arena, i));
  return all;
}

}  // namespace rung
