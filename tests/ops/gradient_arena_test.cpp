// Gradients in two buffers: where each tensor lies, and that together they are one arena's.
#include "ops/gradient_arena.h"

#include <algorithm>

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

// Tensors that fill their units and not, the third frozen, the last behind it.
Layout four_tensors() {
  Layout layout;
  layout.tensors = {{.name = "a", .shape = {3, 50}},
                    {.name = "b", .shape = {16, 16}},
                    {.name = "c", .shape = {7}, .frozen = true},
                    {.name = "d", .shape = {5, 40}}};
  layout.factors.resize(4);
  layout.offsets = {0, 256, 768, 512};
  layout.trained = 768;
  layout.stride = 896;
  return layout;
}

}  // namespace

TEST_CASE("gradients in two buffers: each tensor has its own elements, of its own type") {
  const Layout layout = four_tensors();
  for (const std::vector<size_t>& half :
       {std::vector<size_t>{1, 3}, std::vector<size_t>{0}, std::vector<size_t>{0, 1, 3}}) {
    const GradientArena arena = make_gradient_arena(layout, half, 2, at::kFloat);
    CHECK_FALSE(view(layout, arena, 2).defined());
    for (const size_t i : {0, 1, 3}) {
      const Tensor own = view(layout, arena, i);
      const bool listed = std::find(half.begin(), half.end(), i) != half.end();
      CHECK((own.scalar_type() == at::kBFloat16) == listed);
      CHECK((own.sizes().slice(1) == at::IntArrayRef(layout.tensors[i].shape)));
      own.fill_(static_cast<double>(i + 1));
    }
    const Tensor all = joined(layout, arena);
    for (const size_t i : {0, 1, 3})
      CHECK((view(layout, all, i) == static_cast<double>(i + 1)).all().item<bool>());
    // Every unit is found where the tensor's view has it, padding and all.
    const int* place = arena.places.const_data_ptr<int>();
    for (int64_t unit = 0; unit < layout.trained / 128; ++unit) {
      const bool is_half = place[unit] < 0;
      const Tensor from = is_half ? arena.half : arena.wide;
      const int64_t at = (is_half ? -1 - place[unit] : place[unit]) * 128;
      CHECK(same_bits(from.narrow(1, at, 128).to(at::kFloat), all.narrow(1, unit * 128, 128)));
    }
    CHECK(arena.wide.numel() + arena.half.numel() <= 2 * (layout.trained + 128));
  }
}
