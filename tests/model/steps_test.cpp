// Parts that take the stream's norm and additions along (Part::step, Part::from_stream): on a GPU
// narrow ones do. Here parts made of plain operations stand in for those, in fp64, and a decoder
// must remain the same function.
#include <stdexcept>

#include "model/ffns/ffns.h"
#include "model/mixers/attention.h"
#include "model/mixers/mixers.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "support/models.h"

using namespace rung;
using namespace rung::test;

namespace {

using Weights = std::span<const Weight>;

template <const Part& part>
Stepped step_of(Weights weights, const Tensor& x, const Tensor& f, const ResidualStep& step,
                const Pass& pass) {
  const auto [h, u] = add_norm_plain(x, f, {}, step.norm);
  const Tensor y = part.forward(weights, u, pass);
  return {h * step.skip + scale_gradient(y, step.branch_gradient / step.branch) * step.branch};
}

Stepped swiglu_step(Weights weights, const Tensor& x, const Tensor& f, const ResidualStep& step,
                    const Pass& pass) {
  return mlp_step_plain(x, f,
                        {.kind = Activation::swiglu,
                         .activation = activation_options(pass),
                         .first = weights[0],
                         .second = weights[1]},
                        step);
}

Branched attention_of_stream(Weights weights, const Tensor& x, const NormOptions& norm,
                             const Pass& pass) {
  const auto [h, u] = add_norm_plain(x, Tensor(), {}, norm);
  return {h, attention_forward(weights, u, pass)};
}

// Its last map is left to whoever adds the branch.
Branched attention_without_map(Weights weights, const Tensor& x, const NormOptions& norm,
                               const Pass& pass) {
  const auto [h, u] = add_norm_plain(x, Tensor(), {}, norm);
  return {h, mixed_values(linear(u, weights[0]), weights, pass), weights[1]};
}

// Its first map is made by the step before it, where there is one.
int mapped_before = 0;
Branched attention_of_mapped(Weights weights, const Tensor& x, const NormOptions& norm,
                             const Pass& pass) {
  if (!pass.mapped.defined()) return attention_without_map(weights, x, norm, pass);
  ++mapped_before;
  return {x, mixed_values(pass.mapped, weights, pass), weights[1]};
}

constexpr Part with(Part part, decltype(Part::step) step, decltype(Part::from_stream) from_stream,
                    decltype(Part::first_map) first_map = nullptr) {
  part.step = step;
  part.from_stream = from_stream;
  part.first_map = first_map;
  return part;
}

// The stream's step by ffns, by mixers, by both; mixers read the stream where it is whole.
struct Replaced {
  const char* name;
  Part mixer, ffn;
};
const Replaced replaced[]{
    {"ffns", attention_mixer, with(swiglu_ffn, swiglu_step, nullptr)},
    {"mixers", with(attention_mixer, step_of<attention_mixer>, nullptr), swiglu_ffn},
    {"both", with(attention_mixer, step_of<attention_mixer>, nullptr),
     with(swiglu_ffn, swiglu_step, nullptr)},
    {"mixers from the stream", with(attention_mixer, nullptr, attention_of_stream),
     with(swiglu_ffn, swiglu_step, nullptr)},
    {"mixers from the stream where it is whole",
     with(attention_mixer, nullptr, attention_of_stream), swiglu_ffn},
    {"mixers without their last map", with(attention_mixer, nullptr, attention_without_map),
     with(swiglu_ffn, swiglu_step, nullptr)},
    {"mixers without their last map, and ffns that ask for it",
     with(attention_mixer, nullptr, attention_without_map), swiglu_ffn},
    {"mixers whose first map ffns take along",
     with(attention_mixer, nullptr, attention_of_mapped, attention_first_map),
     with(swiglu_ffn, swiglu_step, nullptr)}};

}  // namespace

TEST_CASE("steps of the stream as one op leave losses and gradients as they are") {
  for (const char* rule : {"standard", "mup", "completep", "umup"})
    for (const int heads : {0, 1}) {
      RunConfig config = tiny_config();
      config.parametrisation = rule;
      config.model.depth = 3;
      if (heads > 0) config.model.mtp_heads = heads;
      Model model = make_model(config, 11, at::kDouble, 2);
      const Batch batch = make_batch(config, 11, 2, 3);
      const Tensor losses = loss_and_gradient(model, batch), gradient = model.gradient.clone();
      for (const Replaced& r : replaced) {
        INFO(rule, ", heads ", heads, ", ", r.name);
        model.decoder.mixers.assign(model.decoder.mixers.size(), &r.mixer);
        model.decoder.ffns.assign(model.decoder.ffns.size(), &r.ffn);
        CHECK(distance(loss_and_gradient(model, batch), losses) < 1e-12);
        CHECK(distance(model.gradient, gradient) < 1e-12);
      }
    }
  CHECK(mapped_before > 0);
}

TEST_CASE("norms with gains, and norms behind branches, keep such ops out") {
  const auto never = +[](Weights, const Tensor&, const Tensor&, const ResidualStep&,
                         const Pass&) -> Stepped { throw std::logic_error("a step was taken"); };
  const Part mixer = with(attention_mixer, never, nullptr), ffn = with(swiglu_ffn, never, nullptr);
  const auto run = [&](const char* place, bool gain) {
    RunConfig config = tiny_config();
    config.model.norm_gain = gain;
    config.model.norm_place = place;
    Model model = make_model(config, 11, at::kDouble);
    model.decoder.mixers.assign(model.decoder.mixers.size(), &mixer);
    model.decoder.ffns.assign(model.decoder.ffns.size(), &ffn);
    loss_and_gradient(model, make_batch(config, 11, 1, 2));
  };
  CHECK_THROWS_AS(run("before", false), std::logic_error);
  CHECK_NOTHROW(run("before", true));
  for (const bool gain : {false, true})
    for (const char* place : {"both", "after"}) CHECK_NOTHROW(run(place, gain));
}
