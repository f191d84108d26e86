// SGD, Adam-atan2 and Adam with parameter scaling against the textbook rules, one number at a time.
#include <numbers>

#include "core/error.h"
#include "optim/optimizer.h"
#include "support/twins.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr double lr = 0.0625, decay = 0.0078125, beta1 = 0.875, beta2 = 0.96875,
                 epsilon = 0.0009765625;
constexpr double clip = 0.5;  // all exact as floats

Layout two_tensors() {
  Layout layout;
  for (const int64_t size : {37, 130}) {
    layout.tensors.push_back({.name = fmt::format("t{}", size), .shape = {size}});
    Factors f;
    f.C = 0.25 * static_cast<double>(size);
    f.decay = 2.0;
    f.epsilon = 0.5;
    layout.factors.push_back(f);
    layout.offsets.push_back(layout.stride);
    layout.stride += (size + 127) / 128 * 128;
  }
  return layout;
}

struct Moments {
  double m = 0.0, v = 0.0;
};

// The direction of one element; `size` is the RMS of its tensor.
double direction(const std::string& name, Moments& s, double g, int t, double size,
                 const Factors& f) {
  if (name == "sgd") return s.m = beta1 * s.m + g;
  s.m = beta1 * s.m + (1 - beta1) * g;
  s.v = beta2 * s.v + (1 - beta2) * g * g;
  const double m = s.m / (1 - std::pow(beta1, t)), root = std::sqrt(s.v / (1 - std::pow(beta2, t)));
  if (name == "adam-atan2") return 4 / std::numbers::pi * std::atan2(m, root);
  return std::max(1e-3, size) * m / (root + epsilon * f.epsilon);
}

void check_optimizer(const std::string& name) {
  const Optimizer& optimizer = find_optimizer(name);
  const Layout layout = two_tensors();
  Tensor weights = normal({1, layout.stride}, 1);
  weights.narrow(1, 0, 37).mul_(1e-5);  // below the floor of parameter scaling
  Tensor want = weights.clone();
  std::map<std::string, Tensor> state;
  for (const StateSpec& s : optimizer.state(layout))
    state[s.name] = at::zeros({1, s.size}, at::kDouble);
  std::vector<Moments> moments(static_cast<size_t>(layout.stride));
  double* w = want.mutable_data_ptr<double>();
  for (int t = 1; t <= 12; ++t) {
    const Tensor gradient = normal({1, layout.stride}, static_cast<uint64_t>(t));
    const float row[] = {lr, decay, beta1, beta2, epsilon, 0, 0, clip};
    Tensor hyper = at::empty({1, hyper_count}, at::kFloat);
    std::copy_n(row, static_cast<int>(hyper_count), hyper.mutable_data_ptr<float>());
    hyper.mutable_data_ptr<float>()[hyper_correction1] = static_cast<float>(1 - std::pow(beta1, t));
    hyper.mutable_data_ptr<float>()[hyper_correction2] = static_cast<float>(1 - std::pow(beta2, t));
    optimizer.step({layout, weights, gradient, state, hyper});
    for (size_t k = 0; k < layout.tensors.size(); ++k) {
      const int64_t at = layout.offsets[k], size = layout.tensors[k].size();
      double square = 0.0;
      for (int64_t i = at; i < at + size; ++i) square += w[i] * w[i];
      const double rms = std::sqrt(square / static_cast<double>(size));
      const Factors& f = layout.factors[k];
      for (int64_t i = at; i < at + size; ++i) {
        const double g = gradient.const_data_ptr<double>()[i] * clip;
        const double u = direction(name, moments[static_cast<size_t>(i)], g, t, rms, f);
        w[i] -= lr * f.C * u + decay * f.decay * w[i];
      }
    }
  }
  CHECK(distance(weights, want) < 1e-6);  // bias corrections come as floats
  CHECK(distance(weights.narrow(1, 0, 37), want.narrow(1, 0, 37)) < 1e-6);
}

}  // namespace

TEST_CASE("SGD, Adam-atan2 and Adam with parameter scaling equal their scalar rules") {
  for (const char* name : {"sgd", "adam-atan2", "adam-scaled"}) {
    CAPTURE(name);
    check_optimizer(name);
  }
}

TEST_CASE("Adam-atan2 does not see the gradient's scale, and leaves zeros alone") {
  const Optimizer& optimizer = find_optimizer("adam-atan2");
  const Layout layout = two_tensors();
  const auto run = [&](double scale) {
    Tensor weights = normal({1, layout.stride}, 1);
    std::map<std::string, Tensor> state;
    for (const StateSpec& s : optimizer.state(layout))
      state[s.name] = at::zeros({1, s.size}, at::kDouble);
    for (uint64_t t = 1; t <= 5; ++t) {
      Tensor hyper = at::full({1, hyper_count}, 0.5, at::kFloat);
      hyper.mutable_data_ptr<float>()[hyper_decay] = 0.0f;
      Tensor gradient = normal({1, layout.stride}, t) * scale;
      gradient.narrow(1, 0, 8).zero_();
      optimizer.step({layout, weights, gradient, state, hyper});
    }
    return weights;
  };
  const Tensor one = run(1.0);
  CHECK(distance(run(1e-90), one) < 1e-12);
  CHECK(same_bits(one.narrow(1, 0, 8), normal({1, layout.stride}, 1).narrow(1, 0, 8)));
}

TEST_CASE("parameter scaling leaves members that are not alive alone and keeps the compute copy") {
  const Optimizer& optimizer = find_optimizer("adam-scaled");
  const Layout layout = two_tensors();
  const auto run = [&](const Tensor& alive, const Tensor& compute, const Tensor& bad) {
    Tensor weights = normal({3, layout.stride}, 1);
    std::map<std::string, Tensor> state;
    for (const StateSpec& s : optimizer.state(layout))
      state[s.name] = at::zeros({3, s.size}, at::kDouble);
    Tensor hyper = at::empty({3, hyper_count}, at::kFloat);
    const float row[] = {lr, decay, beta1, beta2, epsilon, 1 - beta1, 1 - beta2, clip};
    for (int64_t m = 0; m < 3; ++m)
      std::copy_n(row, static_cast<int>(hyper_count),
                  hyper.mutable_data_ptr<float>() + m * hyper_count);
    optimizer.step(
        {layout, weights, normal({3, layout.stride}, 2) + bad, state, hyper, {}, alive, compute});
    return std::pair(weights, state.at("exp_avg_sq"));
  };
  Tensor alive = at::ones({3}, at::kInt), bad = at::zeros({3, 1}, at::kDouble);
  const auto [all, moments] = run({}, {}, bad);
  alive[1].fill_(0);
  bad[1].fill_(NAN);  // a diverged member's gradient
  Tensor compute = at::zeros({3, layout.stride}, at::kBFloat16);
  const auto [weights, squares] = run(alive, compute, bad);
  for (const int64_t m : {0, 2}) {
    CHECK(same_bits(weights[m], all[m]));
    CHECK(same_bits(squares[m], moments[m]));
  }
  CHECK(same_bits(weights[1], normal({3, layout.stride}, 1)[1]));
  CHECK(squares[1].abs().max().item<double>() == 0.0);
  CHECK(same_bits(compute, weights.to(at::kBFloat16)));
}
