// AdamW on moments in bf16 and FP8: the fused step against its twin, both against fp32, what
// draws are for, and who takes them.
#include "core/error.h"
#include "optim/adam_atan2.h"
#include "support/moment_steps.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr std::array kinds{"bf16", "fp8"};

// How far the weights are from those of fp32 moments, over how far these have come.
double drift(const std::string& kind, bool drawn, void (*step)(const StepInput&)) {
  MomentRun wide("fp32", false, 2), run(kind, drawn, 2);
  const Tensor start = wide.weights.clone();
  for (int t = 1; t <= 50; ++t) wide.step(adamw_step_plain, t), run.step(step, t);
  return ((run.weights - wide.weights).norm() / (wide.weights - start).norm()).item<double>();
}

}  // namespace

TEST_CASE("moments: the fused step is its plain twin, and moments are kept in the types named") {
  for (const char* kind : kinds)
    for (const bool drawn : {true, false}) {
      CAPTURE(kind);
      CAPTURE(drawn);
      MomentRun fused(kind, drawn, 2), plain(kind, drawn, 2);
      for (int t = 1; t <= 20; ++t) {
        fused.step(adamw_step, t), plain.step(adamw_step_plain, t);
        // Sums differ by fp32's rounding, which turns few of the codes.
        CHECK((fused.first() - plain.first()).ne(0.0).to(at::kDouble).mean().item<double>() < 0.01);
        CHECK((fused.second() - plain.second()).ne(0.0).to(at::kDouble).mean().item<double>() <
              0.01);
      }
      CHECK(distance(fused.weights, plain.weights) < 1e-3);
      CHECK((fused.state.at(second_moment).scalar_type() == at::kBFloat16));
      CHECK((fused.state.at(first_moment).scalar_type() ==
             (std::string(kind) == "fp8" ? at::kFloat8_e4m3fn : at::kBFloat16)));
      Tensor rest = fused.weights.clone();
      for (size_t k = 0; k < fused.layout.tensors.size(); ++k)
        flat_part(fused.layout, rest, k).zero_();
      CHECK(rest.abs().max().item<double>() == 0.0);  // padding never moves
    }
}

TEST_CASE("moments: weights stay within the moments' rounding of those by fp32 moments") {
  for (auto* step : {adamw_step, adamw_step_plain}) {
    CHECK(drift("bf16", true, step) < 0.01);
    CHECK(drift("fp8", true, step) < 0.08);
    CHECK(drift("bf16", true, step) > 1e-5);
    CHECK(drift("fp8", true, step) > drift("bf16", true, step));
  }
}

TEST_CASE("moments: fp64 masters take them too") {
  MomentRun wide("fp8", true, 2, at::Device(at::kCPU), at::kDouble), narrow("fp8", true, 2);
  for (int t = 1; t <= 5; ++t) wide.step(adamw_step, t), narrow.step(adamw_step, t);
  CHECK(distance(wide.weights, narrow.weights) < 1e-3);
}

// With beta2 = 0.999 a second moment changes by 0.1 % a step at most, and bf16's numbers are 0.4 to
// 0.8 % apart: to the nearest, it never falls.
TEST_CASE("moments: by draws a slow average follows where to the nearest it stands still") {
  const auto after = [](const char* kind, bool drawn) {
    MomentRun run(kind, drawn, 1);
    run.state.at(second_moment).fill_(1.0);
    for (int t = 1; t <= 700; ++t) run.step(adamw_step, t, 0.999);
    return flat_part(run.layout, run.second(), 3).mean().item<double>();
  };
  const double want = after("fp32", false);
  CHECK(want < 0.6);
  CHECK(std::abs(after("bf16", true) - want) < 0.02 * want);
  CHECK(std::abs(after("fp8", true) - want) < 0.02 * want);
  CHECK(after("bf16", false) > 0.95);
}

TEST_CASE("moments: the mean over many draws is the moment itself") {
  for (const char* kind : kinds) {
    CAPTURE(kind);
    constexpr int64_t members = 4000;  // one start, other keys
    MomentRun run(kind, true, members);
    Tensor gradient = in_tensors(run.layout, 1, 5);
    Tensor hyper = at::zeros({members, hyper_count});
    for (const auto& [which, value] : {std::pair{hyper_beta1, 0.9},
                                       {hyper_beta2, 0.98},
                                       {hyper_correction1, 0.1},
                                       {hyper_correction2, 0.02},
                                       {hyper_scale, 1.0}})
      hyper.select(1, which).fill_(value);
    StepInput in{run.layout, run.weights, gradient.to(at::kFloat).repeat({members, 1}), run.state,
                 hyper};
    in.keys = at::empty({members}, at::kLong);
    for (int64_t m = 0; m < members; ++m)
      in.keys.mutable_data_ptr<int64_t>()[m] = static_cast<int64_t>(mix_bits(m + 1));
    adamw_step(in);
    const auto check = [&](const Tensor& got, const Tensor& want) {
      const Tensor error = (got - want).mean(0).abs();
      const Tensor step = (got - want).abs().amax({0});
      CHECK(step.max().item<double>() > 0.0);
      CHECK((error <= 5.0 / std::sqrt(static_cast<double>(members)) * step + 1e-9)
                .all()
                .item<bool>());
    };
    // E4M3 rounds to the nearest what is far below its block's largest: left out.
    const Tensor first = gradient * 0.1;
    const Tensor large = first.abs() > 1e-4;
    check(run.first() * large, first * large);
    check(run.second(), gradient * gradient * 0.02);
  }
}

// A weight whose gradients are a millionth of its block's: were its moment drawn up to E4M3's
// smallest number, the step would be hundreds of times too long.
TEST_CASE("moments: a small moment in a block of large ones makes no leap") {
  MomentRun run("fp8", true, 1);
  Tensor gradient = at::ones({1, run.layout.stride});
  const int64_t small = run.layout.offsets[2] + 5;
  gradient[0][small].fill_(1e-6);
  Tensor hyper = at::zeros({1, hyper_count});
  const double start = run.weights[0][small].item<double>();
  for (int t = 1; t <= 200; ++t) {
    const float row[] = {0.01f,
                         0.0f,
                         0.9f,
                         0.98f,
                         1e-12f,
                         static_cast<float>(1.0 - std::pow(0.9, t)),
                         static_cast<float>(1.0 - std::pow(0.98, t)),
                         1.0f};
    std::copy_n(row, 8, hyper.mutable_data_ptr<float>());
    StepInput in{run.layout, run.weights, gradient, run.state, hyper};
    in.keys = at::full({1}, t * 77, at::kLong);
    adamw_step(in);
  }
  const double moved = start - run.weights[0][small].item<double>();
  const double rate = 0.01 * run.layout.factors[2].C;
  CHECK(moved > 0.05 * 200 * rate);  // by its present gradient alone
  CHECK(moved < 2.5 * 200 * rate);
}

TEST_CASE("moments: the optimizers that keep Adam's two take them, others refuse by name") {
  const Layout layout = odd_layout();
  for (const Optimizer& optimizer : optimizers()) {
    CAPTURE(std::string(optimizer.name));
    for (const char* kind : kinds) {
      if (optimizer.adam_moments) {
        CHECK(state_bytes(states_of(optimizer, layout, kind), 4.0) ==
              (std::string(kind) == "fp8" ? 3.0 + 4.0 / 128 : 4.0) *
                  static_cast<double>(layout.stride));
        continue;
      }
      const std::string error = error_of([&] { states_of(optimizer, layout, kind); });
      CHECK(error.find(std::string(optimizer.name)) != std::string::npos);
      CHECK(error.find(kind) != std::string::npos);
    }
    CHECK(states_of(optimizer, layout, "fp32").size() == optimizer.state(layout).size());
  }
}
