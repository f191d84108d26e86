#include "ops/arena.h"

#include "core/random.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

TensorSpec spec(const char* name, Role role, std::vector<int64_t> shape, double factor = 1.0) {
  const int64_t in = role == Role::hidden || role == Role::readout ? shape.back() : 1;
  return {.name = name,
          .role = role,
          .shape = shape,
          .fan_in = in,
          .fan_out = shape.front(),
          .init_std_factor = factor};
}

Layout layout_of(const char* parametrisation) {
  RunConfig config;
  config.model.width = 96;
  return make_layout(
      {spec("embedding", Role::embedding, {300, 96}), spec("gain", Role::gain, {96}),
       spec("hidden", Role::hidden, {200, 96}), spec("bias", Role::bias, {5}),
       spec("half", Role::hidden, {96, 200}, 0.5), spec("zero", Role::hidden, {96, 10}, 0.0),
       spec("readout", Role::readout, {300, 96})},
      find_parametrisation(parametrisation), dims_of(config, 300), "");
}

}  // namespace

TEST_CASE("tensors lie apart at multiples of 128 elements, and views point at them") {
  const Layout layout = layout_of("standard");
  int64_t end = 0;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    CHECK(layout.offsets[i] % 128 == 0);
    CHECK(layout.offsets[i] >= end);
    end = layout.offsets[i] + layout.tensors[i].size();
  }
  CHECK(layout.stride % 128 == 0);
  CHECK(layout.stride >= end);
  Tensor arena = at::zeros({3, layout.stride});
  for (size_t i = 0; i < layout.tensors.size(); ++i) view(layout, arena, i).add_(1.0);
  CHECK(arena.max().item<double>() == 1.0);  // no element belongs to two views
  int64_t sizes = 0;
  for (const TensorSpec& t : layout.tensors) sizes += t.size();
  CHECK(arena.sum().item<double>() == doctest::Approx(3.0 * static_cast<double>(sizes)));
}

TEST_CASE("initialisation has the deviation that the parametrisation states, by role") {
  for (const char* name : {"standard", "mup", "umup"}) {
    const Layout layout = layout_of(name);
    Tensor row = at::zeros({layout.stride}, at::kDouble);
    initialise(layout, row, 11);
    const Tensor arena = row.unsqueeze(0);
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      CAPTURE(name);
      CAPTURE(layout.tensors[i].name);
      const Tensor w = view(layout, arena, i);
      const double mean = w.mean().item<double>(), square = (w * w).mean().item<double>();
      const double count = static_cast<double>(w.numel());
      if (layout.tensors[i].role == Role::gain) CHECK(w.eq(1.0).all().item<bool>());
      if (layout.tensors[i].role == Role::bias) CHECK(w.eq(0.0).all().item<bool>());
      if (layout.tensors[i].role == Role::gain || layout.tensors[i].role == Role::bias) continue;
      const double want = layout.factors[i].B;  // init_std_factor is already in it
      CHECK(std::abs(mean) <= 5.0 * want / std::sqrt(count));
      CHECK(std::abs(std::sqrt(square) - want) <= 5.0 * want / std::sqrt(2.0 * count));
      if (want > 0.0) {
        const double kurtosis = (w * w * w * w).mean().item<double>() / (square * square);
        CHECK(kurtosis == doctest::Approx(3.0).epsilon(0.1));
      }
    }
  }
}

TEST_CASE("the standard rule at width 96") {
  const Layout layout = layout_of("standard");
  CHECK(layout.factors[0].B == doctest::Approx(1.0));
  CHECK(layout.factors[2].B == doctest::Approx(1.0 / std::sqrt(96.0)));
  CHECK(layout.factors[4].B == doctest::Approx(0.5 / std::sqrt(200.0)));
  CHECK(layout.factors[5].B == 0.0);
}

TEST_CASE("a tensor's numbers depend on seed and name alone") {
  const Layout full = layout_of("standard");
  RunConfig config;
  config.model.width = 96;
  const Layout lone = make_layout({spec("hidden", Role::hidden, {200, 96})},
                                  find_parametrisation("standard"), dims_of(config, 300), "");
  Tensor a = at::zeros({full.stride}), b = at::zeros({lone.stride}), c = at::zeros({lone.stride});
  initialise(full, a, 5);
  initialise(lone, b, 5);
  initialise(lone, c, 6);
  CHECK(same_bits(view(full, a.unsqueeze(0), 2), view(lone, b.unsqueeze(0), 0)));
  CHECK(distance(c, b) > 0.1);
}

TEST_CASE("a tensor's own start replaces the role's, by element and in any pieces") {
  constexpr int64_t size = 70000;  // more than a piece
  TensorSpec own = spec("own", Role::channel, {size});
  own.start = [](const TensorSpec& tensor, int64_t index, Random& random) {
    return static_cast<double>(index) / static_cast<double>(tensor.size()) + random.uniform();
  };
  const Layout layout = make_layout({own}, find_parametrisation("umup"), dims_of({}, 300), "");
  Tensor row = at::zeros({layout.stride}, at::kDouble);
  initialise(layout, row, 4);
  const Tensor rest = view(layout, row.unsqueeze(0), 0)[0].clone();
  double* values = rest.mutable_data_ptr<double>();
  for (int64_t k = 0; k < size; ++k)
    values[k] -= static_cast<double>(k) / static_cast<double>(size);
  CHECK(rest.min().item<double>() >= -1e-12);
  CHECK(rest.max().item<double>() < 1.0);
  CHECK(rest.mean().item<double>() == doctest::Approx(0.5).epsilon(0.01));
  CHECK(rest.std().item<double>() == doctest::Approx(1.0 / std::sqrt(12.0)).epsilon(0.01));
  Tensor other = at::zeros({layout.stride}, at::kDouble);
  initialise(layout, other, 5);
  CHECK(distance(row, other) > 0.1);
}

TEST_CASE("initialisation in parallel pieces is the sequence of each tensor, padding zero") {
  // A matrix of several pieces, whose last one is not full.
  constexpr int64_t rows = 1301, columns = 131;
  RunConfig config;
  const Layout layout = make_layout(
      {spec("first", Role::hidden, {rows, columns}), spec("second", Role::hidden, {3, 5})},
      find_parametrisation("standard"), dims_of(config, 300), "");
  Tensor row = at::ones({layout.stride}, at::kFloat), lone = at::ones({layout.stride}, at::kFloat);
  std::vector<int64_t> order;
  initialise(layout, row, 9, [&](int64_t count, const std::function<void(int64_t)>& task) {
    for (int64_t i = count - 1; i >= 0; --i) order.push_back(i), task(i);
  });
  initialise(layout, lone, 9);
  CHECK(order.size() >= 4);
  CHECK(same_bits(row, lone));
  const float* values = row.const_data_ptr<float>();
  std::vector<bool> weight(static_cast<size_t>(layout.stride), false);
  for (size_t i = 0; i < 2; ++i) {
    Random random(9, "init:" + layout.tensors[i].name);
    for (int64_t k = 0; k < layout.tensors[i].size(); ++k) {
      const int64_t at = layout.offsets[i] + k;
      weight[static_cast<size_t>(at)] = true;
      REQUIRE(values[at] == static_cast<float>(layout.factors[i].B * random.normal()));
    }
  }
  for (int64_t k = 0; k < layout.stride; ++k)
    if (!weight[static_cast<size_t>(k)]) CHECK(values[k] == 0.0f);
}
