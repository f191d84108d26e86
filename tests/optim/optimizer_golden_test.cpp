// Against the goldens of tests/golden/make_optimizer_golden.py: Schedule-Free by its authors'
// package, SOAP, Shampoo and Muon by an independent implementation, all in fp64.
#include <ATen/ops/arange.h>

#include <limits>

#include "core/json.h"
#include "optim/muon.h"
#include "optim/optimizer.h"
#include "support/source_dir.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Setting {
  double lr, decay, beta1, beta2;
  int warmup, steps;
};

// A member's single matrix and all that its optimizer keeps.
struct Problem {
  Layout layout;
  const Optimizer& optimizer;
  Tensor weights, gradient;
  std::map<std::string, Tensor> state{};

  Problem(const char* name, std::vector<int64_t> shape, double A = 1.0)
      : optimizer(find_optimizer(name)) {
    layout.tensors.push_back({.name = "w", .role = Role::hidden, .shape = std::move(shape)});
    layout.factors.push_back({});
    layout.factors[0].A = A;
    const std::vector<int64_t>& sizes = layout.tensors[0].shape;
    // What the conventions give a matrix of this shape under Muon; 1 elsewhere.
    if (optimizer.name == "muon")
      layout.factors[0].C =
          std::sqrt(std::max(1.0, static_cast<double>(sizes[0]) / static_cast<double>(sizes[1]))) /
          A;
    layout.offsets.push_back(0);
    layout.stride = 128;
    weights = at::zeros({1, 128}, at::kDouble);
    gradient = at::zeros_like(weights);
    for (int64_t i = 0; i < size(); ++i) values()[i] = std::sin(static_cast<double>(i) * 1.7);
    for (const StateSpec& spec : optimizer.state(layout))
      state[spec.name] = at::zeros({1, spec.size}, at::kDouble);
  }

  int64_t size() const { return layout.tensors[0].size(); }
  double* values() { return weights.mutable_data_ptr<double>(); }

  void step(const Setting& s, int done) {
    double* g = gradient.mutable_data_ptr<double>();
    for (int64_t i = 0; i < size(); ++i) {
      const double w = values()[i], k = static_cast<double>(i);
      g[i] = static_cast<double>(1 + i % 7) * (w - std::cos(k)) + 0.3 * std::sin(5 * w + done);
    }
    const double warm = done < s.warmup ? (done + 1.0) / s.warmup : 1.0;
    const double row[] = {s.lr * warm,
                          s.decay * warm,
                          s.beta1,
                          s.beta2,
                          1e-8,
                          1.0 - std::pow(s.beta1, done + 1),
                          1.0 - std::pow(s.beta2, done + 1),
                          1.0};
    Tensor hyper = at::empty({1, hyper_count}, at::kDouble);
    std::copy(std::begin(row), std::end(row), hyper.mutable_data_ptr<double>());
    optimizer.step({layout, weights, gradient, state, hyper});
  }

  double distance_to(const Tensor& arena, const Json& golden) const {
    double gap = 0.0;
    const double* have = arena.const_data_ptr<double>();
    for (int64_t i = 0; i < size(); ++i)
      gap = std::max(gap, std::fabs(have[i] - golden[static_cast<size_t>(i)].get<double>()));
    return gap;
  }
};

Json golden(const std::string& name) {
  return read_json(std::filesystem::path(source_dir()) / "tests/golden/optimizers.json").at(name);
}

void copy_into(const Tensor& target, const Json& values) {
  for (size_t i = 0; i < values.size(); ++i)
    target.mutable_data_ptr<double>()[i] = values[i].get<double>();
}

}  // namespace

TEST_CASE("Schedule-Free AdamW and SGD equal their authors' package over 200 steps") {
  // The package's decay is lr lambda, this one's independent of lr.
  const std::pair<const char*, Setting> cases[] = {
      {"schedule-free-adamw", {0.05, 0.05 * 0.1, 0.9, 0.99, 10, 200}},
      {"schedule-free-sgd", {0.02, 0.02 * 0.01, 0.9, 0.0, 10, 200}}};
  for (const auto& [name, setting] : cases) {
    CAPTURE(name);
    Problem problem(name, {4, 6});
    for (int k = 0; k < setting.steps; ++k) problem.step(setting, k);
    CHECK(problem.distance_to(problem.weights, golden(name).at("train")) < 1e-10);
    const Tensor beta1 = at::full({1, 1}, setting.beta1, at::kDouble);
    const Tensor average =
        problem.optimizer.eval_weights({problem.layout, problem.weights, problem.state, beta1});
    CHECK(problem.distance_to(average, golden(name).at("eval")) < 1e-10);
    CHECK(distance(average, problem.weights) > 1e-3);
  }
}

TEST_CASE("SOAP equals an independent implementation over 41 steps and four renewals") {
  const Setting setting{0.01, 1e-3, 0.95, 0.95, 0, 41};
  for (const auto& [name, shape] : {std::pair{"soap 6x6", std::vector<int64_t>{6, 6}},
                                    std::pair{"soap 7x5", std::vector<int64_t>{7, 5}}}) {
    CAPTURE(name);
    const Json want = golden(name);
    Problem problem("soap", shape);
    const Tensor before = problem.weights.clone();
    problem.step(setting, 0);
    CHECK(same_bits(problem.weights, before));  // the first step only measures
    // A rank-deficient factor has no one eigenbasis, and Adam depends on it: take the golden's.
    copy_into(problem.state.at("Q_L.0"), want.at("Q_L"));
    copy_into(problem.state.at("Q_R.0"), want.at("Q_R"));
    for (int k = 1; k < setting.steps; ++k) problem.step(setting, k);
    CHECK(problem.distance_to(problem.weights, want.at("weights")) < 1e-12);
  }
}

TEST_CASE("SOAP's own first basis holds its factors' eigenvectors, largest first") {
  Problem problem("soap", {6, 6});
  problem.step({0.01, 0.0, 0.95, 0.95, 0, 1}, 0);
  for (const auto& [factor, basis] : {std::pair{"L.0", "Q_L.0"}, std::pair{"R.0", "Q_R.0"}}) {
    const Tensor f = problem.state.at(factor).view({6, 6}),
                 q = problem.state.at(basis).view({6, 6});
    const Tensor turned = q.mT().matmul(f).matmul(q);
    const Tensor values = turned.diagonal();
    CHECK((turned - values.diag()).abs().max().item<double>() < 1e-12);
    for (int64_t i = 1; i < 6; ++i)
      CHECK(values[i].item<double>() <= values[i - 1].item<double>() + 1e-12);
  }
}

TEST_CASE("Shampoo equals an independent implementation over 41 steps and five renewals") {
  for (const auto& [name, shape] : {std::pair{"shampoo 6x6", std::vector<int64_t>{6, 6}},
                                    std::pair{"shampoo 7x5", std::vector<int64_t>{7, 5}}}) {
    CAPTURE(name);
    Problem problem("shampoo", shape);
    problem.layout.factors[0].C = 1.0;
    for (int k = 0; k < 41; ++k) problem.step({0.01, 1e-3, 0.95, 0.95, 0, 41}, k);
    CHECK(problem.distance_to(problem.weights, golden(name).at("weights")) < 1e-10);
  }
}

TEST_CASE("Muon equals an independent implementation over 20 steps, tall and wide") {
  const Setting setting{0.02, 1e-3, 0.95, 0.95, 0, 20};
  for (const auto& [name, shape] : {std::pair{"muon 6x4", std::vector<int64_t>{6, 4}},
                                    std::pair{"muon 4x6", std::vector<int64_t>{4, 6}}}) {
    CAPTURE(name);
    Problem problem("muon", shape);
    for (int k = 0; k < setting.steps; ++k) problem.step(setting, k);
    CHECK(problem.distance_to(problem.weights, golden(name).at("weights")) < 1e-12);
  }
}

TEST_CASE("Adafactor equals PyTorch's over 60 steps, a matrix and a vector") {
  const Setting setting{0.05, 0.0, 0.9, 0.999, 0, 60};
  for (const auto& [name, shape] : {std::pair{"adafactor 4x6", std::vector<int64_t>{4, 6}},
                                    std::pair{"adafactor 24", std::vector<int64_t>{24}}}) {
    CAPTURE(name);
    Problem problem("adafactor", shape);
    for (int k = 0; k < setting.steps; ++k) problem.step(setting, k);
    CHECK(problem.distance_to(problem.weights, golden(name).at("weights")) < 1e-10);
  }
  int64_t kept = 0;
  Problem matrix("adafactor", {4, 6});
  for (const StateSpec& spec : matrix.optimizer.state(matrix.layout)) kept += spec.size;
  CHECK(kept == 1 + 4 + 6);  // the step, rows and columns
}

TEST_CASE("Muon moves the effective weight A w alike whatever the multiplier is") {
  const Setting setting{0.02, 0.0, 0.95, 0.95, 0, 1};
  Problem plain("muon", {6, 4}), scaled("muon", {6, 4}, 0.25);
  const Tensor start = plain.weights.clone();
  plain.step(setting, 0);
  scaled.step(setting, 0);
  CHECK(distance((scaled.weights - start) * 0.25, plain.weights - start) < 1e-12);
}

// What a GPU does: stacks of matrices, and members that a captured step has to leave alone.
TEST_CASE("Muon on all matrices of a shape at once is Muon on each, and spares who is not alive") {
  Layout layout;
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{6, 4}, {4, 6}, {3, 3}, {6, 4}}) {
    layout.tensors.push_back({.name = "w", .role = Role::hidden, .shape = shape});
    layout.factors.push_back({.C = 0.5 + static_cast<double>(layout.stride) / 256, .decay = 2.0});
    layout.offsets.push_back(layout.stride);
    layout.stride += 128;
  }
  const auto arena = [&](uint64_t seed) {
    const Tensor t = at::zeros({2, layout.stride}, at::kDouble);
    for (size_t i = 0; i < layout.tensors.size(); ++i)
      view(layout, t, i).copy_(normal(view(layout, t, i).sizes().vec(), seed + i));
    return t;
  };
  const Tensor start = arena(1), gradient = arena(11);
  Tensor hyper = at::zeros({2, hyper_count}, at::kDouble);
  hyper.select(1, hyper_lr).fill_(0.1);
  hyper.select(1, hyper_decay).fill_(0.01);
  hyper.select(1, hyper_scale).fill_(0.5);
  const auto run = [&](bool together, const Tensor& g, const Tensor& alive) {
    const Tensor weights = start.clone();
    std::map<std::string, Tensor> state{{"exp_avg", arena(21)}, {"exp_avg_sq", arena(31)}};
    const StepInput in{layout, weights, g, state, hyper, {}, alive, {}};
    together ? muon_matrices(in) : muon_step(in);
    return std::pair{weights, state.at("exp_avg")};
  };
  const auto want = run(false, gradient, {}), got = run(true, gradient, {});
  CHECK(distance(got.first, want.first) < 1e-13);
  CHECK(distance(got.second, want.second) < 1e-13);
  Tensor broken = gradient.clone();
  broken[1].fill_(std::numeric_limits<double>::quiet_NaN());
  const auto spared = run(true, broken, at::arange(1, -1, -1, at::kInt));
  CHECK(same_bits(spared.first[0], got.first[0]));
  CHECK(same_bits(spared.first[1], start[1]));
  CHECK(same_bits(spared.second[1], arena(21)[1]));
}

TEST_CASE("orthogonalised matrices have singular values near one, each matrix for itself") {
  const Tensor x = normal({3, 8, 5}, 7) * 100.0;
  const Tensor o = orthogonalise(x);
  const Tensor values = o.mT().matmul(o).diagonal(0, 1, 2).sqrt();
  CHECK(values.min().item<double>() > 0.5);
  CHECK(values.max().item<double>() < 1.3);
  CHECK(same_bits(orthogonalise(x.narrow(0, 1, 1)), o.narrow(0, 1, 1)));
}

TEST_CASE("matrix rules leave every tensor that is no hidden matrix to AdamW") {
  for (const char* name : {"soap", "muon"})
    for (const Role role : {Role::embedding, Role::readout, Role::gain}) {
      CAPTURE(name);
      Problem problem(name, {4, 6}), adam("adamw", {4, 6});
      problem.layout.tensors[0].role = adam.layout.tensors[0].role = role;
      for (int k = 0; k < 3; ++k) {
        problem.step({0.01, 1e-3, 0.9, 0.98, 0, 3}, k);
        adam.step({0.01, 1e-3, 0.9, 0.98, 0, 3}, k);
      }
      CHECK(same_bits(problem.weights, adam.weights));
    }
}
