// The auxiliary losses of mixtures: in the backward pass alone, and of the same weight under every
// rule.
#include "model/ffns/moe_models.h"

using namespace rung;
using namespace rung::test;

TEST_CASE(
    "auxiliary losses train and are not reported, and their gradients are those of mean loss + "
    "losses") {
  for (const char* rule : {"standard", "completep"}) {
    RunConfig config = moe_config();
    config.parametrisation = rule;
    config.model.moe_balance = 0.8;
    config.model.moe_z = 0.3;
    Model model = make_model(config, 11, at::kDouble);
    const Batch batch = make_batch(config, 11, 1, 2);
    const Tensor reported = loss_and_gradient(model, batch);
    const Tensor gradient = model.gradient.clone();
    RunConfig plain = config;
    plain.model.moe_balance = plain.model.moe_z = 0.0;
    Model without = make_model(plain, 11, at::kDouble);
    CHECK(same_bits(loss_and_gradient(without, batch), reported));
    const auto objective = [&] {
      at::NoGradGuard off;
      const auto bound = bind(model.decoder.layout, model.weights, Tensor());
      Tally tally;
      double sum =
          token_losses(model.decoder, bound, batch.tokens, batch.targets, model.ropes, 1.0, &tally)
              .mean()
              .item<double>();
      for (const Statistic& s : tally.statistics(0)) {
        if (s.name == "balance_loss") sum += 0.8 * s.value;
        if (s.name == "z_loss") sum += 0.3 * s.value;
      }
      return sum;
    };
    for (size_t i = 0; i < model.decoder.layout.tensors.size(); ++i) {
      const TensorSpec& spec = model.decoder.layout.tensors[i];
      if (spec.role != Role::router && spec.name != "blocks.0.mixer.qkv") continue;
      CAPTURE(spec.name);
      const Tensor part = view(model.decoder.layout, gradient, i);
      CHECK(distance(part, view(without.decoder.layout, without.gradient, i)) > 0.01);
      const int64_t place = model.decoder.layout.offsets[i] + 7;
      // Reported amounts are rounded to 2^-20.
      const double slope = central_difference(model, place, 1e-4, objective);
      CHECK(std::abs(slope - gradient[0][place].item<double>()) <
            2e-3 * part.abs().max().item<double>());
    }
  }
}

TEST_CASE("unit scaling keeps the auxiliary losses' share of the router's gradient") {
  // Under u-muP gradients are the true ones times a constant of each tensor.
  const auto share_of = [](const char* rule, double balance) {
    RunConfig config = moe_config();
    config.parametrisation = rule;
    config.model.depth = 1;
    config.model.moe_balance = balance;
    config.model.moe_z = 0.0;
    Model model = make_model(config, 11, at::kDouble);
    const Batch batch = make_batch(config, 11, 1, 2);
    loss_and_gradient(model, batch);
    for (size_t i = 0; i < model.decoder.layout.tensors.size(); ++i)
      if (model.decoder.layout.tensors[i].role == Role::router)
        return view(model.decoder.layout, model.gradient, i).clone();
    return Tensor();
  };
  const Tensor with = share_of("umup", 0.5), without = share_of("umup", 0.0);
  // Central differences of the cross-entropy and of the balance loss over one weight of the router.
  RunConfig config = moe_config();
  config.parametrisation = "umup";
  config.model.depth = 1;
  Model model = make_model(config, 11, at::kDouble);
  const Batch batch = make_batch(config, 11, 1, 2);
  const auto both = [&] {
    at::NoGradGuard off;
    Tally tally;
    const auto bound = bind(model.decoder.layout, model.weights, Tensor());
    const double loss =
        token_losses(model.decoder, bound, batch.tokens, batch.targets, model.ropes, 1.0, &tally)
            .mean()
            .item<double>();
    return std::pair{loss, statistic(tally, "balance_loss")};
  };
  for (size_t i = 0; i < model.decoder.layout.tensors.size(); ++i) {
    if (model.decoder.layout.tensors[i].role != Role::router) continue;
    const Tensor flat = with.flatten(), plain = without.flatten();
    const int64_t place = (flat - plain).abs().argmax().item<int64_t>();
    double* value =
        model.weights.mutable_data_ptr<double>() + model.decoder.layout.offsets[i] + place;
    const double kept = *value, h = 0.05;
    *value = kept + h;
    const auto above = both();
    *value = kept - h;
    const auto below = both();
    *value = kept;
    const double loss = above.first - below.first, balance = 0.5 * (above.second - below.second);
    const double want = balance / loss;
    const double got = ((flat - plain)[place] / plain[place]).item<double>();
    CHECK(got == doctest::Approx(want).epsilon(0.05));
  }
}
