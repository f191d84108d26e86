#include "optim/adamw.h"

#include "core/error.h"
#include "support/twins.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Setting {
  double lr, decay, beta1, beta2, epsilon, scale;
};

// Two members that differ in everything.
const std::vector<std::array<Setting, 2>> settings{
    {{{0.01, 0.0, 0.9, 0.98, 1e-8, 1.0}, {0.1, 0.0, 0.8, 0.95, 1e-12, 1.0}}},
    {{{0.01, 0.001, 0.9, 0.999, 1e-8, 1.0}, {0.003, 0.02, 0.95, 0.9, 1e-4, 1.0}}},
    {{{0.01, 0.001, 0.9, 0.98, 1e-8, 0.25}, {0.02, 0.0, 0.0, 0.98, 1e-3, 0.01}}},
};

// Tensors of odd sizes with factors of their own, so that a factor of the wrong tensor shows.
Layout make_test_layout() {
  Layout layout;
  int64_t offset = 0;
  for (const int64_t size : {1, 37, 16, 130}) {
    layout.tensors.push_back({.name = fmt::format("t{}", size), .shape = {size}});
    Factors f;
    f.C = 1.0 / static_cast<double>(size);
    f.decay = 1.0 + 0.1 * static_cast<double>(size);
    f.epsilon = 0.5 * static_cast<double>(size);
    layout.factors.push_back(f);
    layout.offsets.push_back(offset);
    offset += (size + 127) / 128 * 128;
  }
  layout.stride = offset;
  return layout;
}

// The textbook rule, one number at a time, in double.
struct Scalar {
  double w, m = 0.0, v = 0.0;
  void step(double g, const Setting& s, const Factors& f, double schedule, int t) {
    g *= s.scale;
    m = s.beta1 * m + (1.0 - s.beta1) * g;
    v = s.beta2 * v + (1.0 - s.beta2) * g * g;
    const double m_hat = m / (1.0 - std::pow(s.beta1, t)), v_hat = v / (1.0 - std::pow(s.beta2, t));
    const double update = s.lr * f.C * m_hat / (std::sqrt(v_hat) + s.epsilon * f.epsilon);
    w -= schedule * (update + s.decay * f.decay * w);
  }
};

using Step = void (*)(const StepInput&);

void check_adamw(const std::array<Setting, 2>& members, Step step, at::ScalarType type,
                 double tolerance) {
  const Layout layout = make_test_layout();
  const Tensor start = normal({2, layout.stride}, 1);
  Tensor weights = start.to(type).clone();
  std::map<std::string, Tensor> state;
  for (const StateSpec& spec : adamw_state(layout))
    state[spec.name] = at::zeros({2, spec.size}, weights.options());
  std::vector<std::vector<Scalar>> reference(2);
  for (int64_t p = 0; p < 2; ++p)
    for (int64_t i = 0; i < layout.stride; ++i)
      reference[static_cast<size_t>(p)].push_back({weights[p][i].to(at::kDouble).item<double>()});
  for (int t = 1; t <= 50; ++t) {
    const double schedule = t <= 10 ? 0.1 * t : 1.0;
    const Tensor gradient =
        (normal({2, layout.stride}, static_cast<uint64_t>(100 + t)) * std::pow(10.0, t % 5 - 3))
            .to(type);
    Tensor hyper = at::empty({2, hyper_count}, at::kFloat);
    for (int64_t p = 0; p < 2; ++p) {
      const Setting& s = members[static_cast<size_t>(p)];
      const double row[] = {s.lr * schedule,
                            s.decay * schedule,
                            s.beta1,
                            s.beta2,
                            s.epsilon,
                            1.0 - std::pow(s.beta1, t),
                            1.0 - std::pow(s.beta2, t),
                            s.scale};
      for (int64_t h = 0; h < hyper_count; ++h)
        hyper.mutable_data_ptr<float>()[p * hyper_count + h] = static_cast<float>(row[h]);
    }
    step({layout, weights, gradient, state, hyper});
    const Tensor wide = gradient.to(at::kDouble);
    for (int64_t p = 0; p < 2; ++p)
      for (size_t k = 0; k < layout.tensors.size(); ++k)
        for (int64_t i = 0; i < layout.tensors[k].size(); ++i) {
          const int64_t at = layout.offsets[k] + i;
          reference[static_cast<size_t>(p)][static_cast<size_t>(at)].step(
              wide.const_data_ptr<double>()[p * layout.stride + at],
              members[static_cast<size_t>(p)], layout.factors[k], schedule, t);
        }
  }
  Tensor want = at::empty({2, layout.stride}, at::kDouble);
  for (int64_t p = 0; p < 2; ++p)
    for (int64_t i = 0; i < layout.stride; ++i)
      want.mutable_data_ptr<double>()[p * layout.stride + i] =
          reference[static_cast<size_t>(p)][static_cast<size_t>(i)].w;
  CHECK(distance(weights, want) < tolerance);
  CHECK(distance(weights, start) > 1e-3);
  Tensor rest = weights.to(at::kDouble) - start.to(type).to(at::kDouble);
  for (size_t k = 0; k < layout.tensors.size(); ++k) view(layout, rest, k).zero_();
  CHECK(rest.abs().max().item<double>() == 0.0);  // padding never moves
}

}  // namespace

TEST_CASE("AdamW equals the scalar rule over 50 steps, with and without decay and clip") {
  for (const auto& members : settings) {
    check_adamw(members, adamw_step, at::kFloat, 2e-5);
    check_adamw(members, adamw_step_plain, at::kFloat, 2e-5);
    // Hyperparameters come as floats, which is what is left of the difference.
    check_adamw(members, adamw_step, at::kDouble, 1e-5);
  }
}

TEST_CASE("weights and gradients of zero stay zero") {
  const Layout layout = make_test_layout();
  Tensor weights = at::zeros({1, layout.stride}), gradient = at::zeros_like(weights);
  std::map<std::string, Tensor> state;
  for (const StateSpec& spec : adamw_state(layout)) state[spec.name] = at::zeros({1, spec.size});
  Tensor hyper = at::ones({1, hyper_count}) * 0.5;
  adamw_step({layout, weights, gradient, state, hyper});
  CHECK(weights.abs().max().item<double>() == 0.0);
}

TEST_CASE("optimizers are found by name, and the nearest is named otherwise") {
  CHECK((find_optimizer("adamw").step == adamw_step));
  CHECK(error_of([] { find_optimizer("adam"); }).find("mean adamw?") != std::string::npos);
}
