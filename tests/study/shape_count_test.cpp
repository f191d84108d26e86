// The planner lists a decoder's tensors a second time, as its layer lies below the model: both
// lists count alike.
#include <doctest/doctest.h>

#include <algorithm>

#include "model/decoder.h"
#include "plan/shape.h"

using namespace rung;

namespace {

struct Case {
  int64_t width, depth, head_size, kv_heads, vocabulary;
  double ffn_ratio;
};

RunConfig config_of(const Case& c, bool gated, bool tied) {
  RunConfig config;
  config.model.width = c.width, config.model.depth = c.depth;
  config.model.head_dim = c.head_size, config.model.kv_heads = c.kv_heads;
  config.model.context = 48, config.model.ffn_ratio = c.ffn_ratio;
  config.model.ffn = gated ? "swiglu" : "gelu";
  config.model.tied = tied;
  return config;
}

std::vector<int64_t> sizes(std::span<const TensorSpec> tensors) {
  std::vector<int64_t> list;
  for (const TensorSpec& tensor : tensors) list.push_back(tensor.size());
  std::sort(list.begin(), list.end());
  return list;
}

}  // namespace

TEST_CASE("shape: the planner counts what the decoder trains") {
  constexpr Case cases[] = {
      {64, 2, 64, 0, 256, 3.0},     // one head
      {96, 3, 48, 0, 1000, 3.0},    // two
      {256, 4, 64, 2, 5000, 3.5},   // grouped queries
      {512, 5, 128, 1, 777, 2.75},  // one head of keys and values
      {128, 1, 32, 4, 2, 4.0},
  };
  for (const Case& c : cases)
    for (const bool gated : {true, false})
      for (const bool tied : {true, false}) {
        CAPTURE(c.width);
        CAPTURE(gated);
        CAPTURE(tied);
        const Decoder decoder = make_decoder(config_of(c, gated, tied), c.vocabulary);
        const ShapeOptions options{.vocabulary = c.vocabulary,
                                   .context = 48,
                                   .head_size = c.head_size,
                                   .kv_heads = c.kv_heads,
                                   .ffn_ratio = c.ffn_ratio,
                                   .gated = gated,
                                   .tied = tied};
        const std::vector<TensorSpec> listed = decoder_tensors(c.width, c.depth, options);
        CHECK(sizes(listed) == sizes(decoder.layout.tensors));
        const Counts counts = count(decoder.layout.tensors);
        const ModelShape shape = make_shape(c.width, c.depth, options);
        CHECK(shape.N == static_cast<double>(counts.N));
        CHECK(shape.N_total == static_cast<double>(counts.N_total));
        CHECK(shape.flops_per_token == doctest::Approx(3.0 * forward_flops(decoder, 48) / 48));
      }
}
