// What every kind of decoder is checked for.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/models.h"

namespace rung::test {

// The gradient that the model holds, at drawn places of each tensor, is central differences of
// loss(); frozen tensors have none.
template <class Loss>
void check_gradient(Model& model, Loss&& loss) {
  const Layout& layout = model.decoder.layout;
  Random random(3, "coordinates");
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    CAPTURE(layout.tensors[i].name);
    const double scale = view(layout, model.gradient, i).abs().max().item<double>();
    CHECK((scale > 0.0) != layout.tensors[i].frozen);
    if (layout.tensors[i].frozen) continue;
    for (int k = 0; k < 3; ++k) {
      const auto size = static_cast<uint64_t>(layout.tensors[i].size());
      const int64_t at = layout.offsets[i] + static_cast<int64_t>(random.below(size));
      const double slope = central_difference(model, at, 1e-5, loss);
      const double gradient = model.gradient.select(0, 0)[at].item<double>();
      CHECK(std::abs(slope - gradient) < 1e-6 * scale + 1e-10);
    }
  }
}

// It is central differences times one constant a tensor, where gradients are largest.
template <class Loss>
void check_gradient_direction(Model& model, Loss&& loss) {
  const Layout& layout = model.decoder.layout;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    CAPTURE(layout.tensors[i].name);
    const Tensor part = view(layout, model.gradient, i).flatten();
    const Tensor largest = std::get<1>(part.abs().topk(std::min<int64_t>(3, part.size(0))));
    double first = 0.0;
    for (int64_t k = 0; k < largest.size(0); ++k) {
      const int64_t place = largest[k].item<int64_t>();
      const double slope = central_difference(model, layout.offsets[i] + place, 1e-4, loss);
      const double ratio = part[place].item<double>() / slope;
      if (k == 0) first = ratio;
      CHECK(ratio == doctest::Approx(first).epsilon(1e-3));
    }
  }
}

// Logits of a prompt and then of tokens alone or several at a time, by a cache, are those of the
// whole sequence.
inline void check_cache(const RunConfig& config, int64_t vocabulary, double tolerance) {
  const Model model = make_model(config, vocabulary, at::kDouble, 2);
  const Tensor tokens = ids({2, 3, 14}, vocabulary, 33);
  const auto bound = bind(model.decoder.layout, model.weights, Tensor());
  const auto ropes = [&](int64_t start, int64_t count) {
    return make_ropes(config.model, count, model.weights.options(), start);
  };
  const Tensor whole = token_logits(model.decoder, bound, tokens, ropes(0, 14));
  Cache cache;
  for (const int64_t count : {5, 1, 1, 4, 1, 2}) {
    const int64_t at = cache.time;
    const Tensor piece = token_logits(
        model.decoder, bound, tokens.narrow(2, at, count).contiguous(), ropes(at, count), &cache);
    CHECK(distance(piece, whole.narrow(2, at, count)) < tolerance);
  }
  CHECK(cache.time == 14);
}

}  // namespace rung::test
