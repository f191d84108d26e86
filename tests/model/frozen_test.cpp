// Layers that stay as they were drawn, within a decoder.
#include "core/error.h"
#include "scaling/count.h"
#include "support/models.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig doped_config() {
  RunConfig config = tiny_config();  // width 24, ffn 60
  config.model.depth = 3;
  config.model.frozen = "none, block, ffn";
  return config;
}

}  // namespace

TEST_CASE("frozen tensors lie behind the trained ones, and are drawn as if they were trained") {
  const Model model = make_model(doped_config(), 11, at::kFloat, 2);
  RunConfig all = doped_config();
  all.model.frozen.clear();
  const Model trained = make_model(all, 11, at::kFloat, 2);
  const Layout &layout = model.decoder.layout, &other = trained.decoder.layout;
  CHECK(layout.stride == other.stride);
  CHECK(other.trained == other.stride);
  const Layout part = trained_part(layout);
  CHECK(part.stride == layout.trained);
  size_t next = 0;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const TensorSpec& spec = layout.tensors[i];
    CAPTURE(spec.name);
    const bool frozen = spec.name.starts_with("blocks.1.") || spec.name.starts_with("blocks.2.ffn");
    CHECK(spec.frozen == frozen);
    CHECK((layout.offsets[i] >= layout.trained) == frozen);
    CHECK(layout.offsets[i] % 128 == 0);
    CHECK(same_bits(view(layout, model.weights, i), view(other, trained.weights, i)));
    if (!frozen) {
      CHECK(part.tensors[next].name == spec.name);
      CHECK(part.offsets[next++] == layout.offsets[i]);
    }
  }
  CHECK(next == part.tensors.size());
}

TEST_CASE("freezing layers leaves the loss and the others' gradients as they are") {
  Model model = make_model(doped_config(), 11, at::kDouble);
  RunConfig all = doped_config();
  all.model.frozen.clear();
  Model trained = make_model(all, 11, at::kDouble);
  const Batch batch = make_batch(all, 11, 1, 3);
  CHECK(same_bits(loss_and_gradient(model, batch), loss_and_gradient(trained, batch)));
  const Layout& layout = model.decoder.layout;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    CAPTURE(layout.tensors[i].name);
    const Tensor own = view(layout, model.gradient, i);
    if (layout.tensors[i].frozen)
      CHECK(own.eq(0.0).all().item<bool>());
    else
      CHECK(same_bits(own, view(trained.decoder.layout, trained.gradient, i)));
  }
}

TEST_CASE("frozen weights count in N and N_total, not in N_active nor in the backward pass") {
  const Decoder d = make_decoder(doped_config(), 11);
  const int64_t attention = 4 * 24 * 24, ffn = 3 * 24 * 60, readout = 24 * 11;
  const Counts counts = count(d.layout.tensors);
  CHECK(counts.N == 3 * (attention + ffn) + readout);
  CHECK(counts.frozen == attention + 2 * ffn);
  CHECK(counts.N_active == counts.N - counts.frozen);
  CHECK(counts.N_total == counts.N + readout);
  CHECK(training_flops(d, 18) ==
        doctest::Approx(3.0 * forward_flops(d, 18) -
                        18.0 * 2.0 * static_cast<double>(attention + 2 * ffn)));
}
