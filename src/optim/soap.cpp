#include "optim/soap.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>

#include "optim/adamw.h"
#include "optim/elementwise.h"

namespace rung {
namespace {

using at::Tensor;

constexpr double basis_every = 10.0;  // steps
constexpr double ridge = 1e-30;       // keeps a zero factor's eigenvectors defined

struct Matrix {
  const StepInput& in;
  size_t index;
  int64_t rows, columns;

  Tensor square(const char* name, int64_t size) const {
    return in.state.at(fmt::format("{}.{}", name, index)).view({-1, size, size});
  }
  Tensor left() const { return square("L", rows); }
  Tensor right() const { return square("R", columns); }
  Tensor left_basis() const { return square("Q_L", rows); }
  Tensor right_basis() const { return square("Q_R", columns); }
  Tensor scalar(Hyper h) const { return hyper_column(in, h).unsqueeze(2); }
  Tensor moment(const char* name) const { return view(in.layout, in.state.at(name), index); }

  Tensor rotated(const Tensor& x) const {
    return at::matmul(at::matmul(left_basis().mT(), x), right_basis());
  }
  Tensor rotated_back(const Tensor& x) const {
    return at::matmul(at::matmul(left_basis(), x), right_basis().mT());
  }

  // L <- b L + (1 - b) G G^T, R likewise; b is Adam's second decay.
  void measure(const Tensor& g) const {
    const Tensor rest = 1.0 - scalar(hyper_beta2);
    left().mul_(scalar(hyper_beta2)).add_(at::matmul(g, g.mT()) * rest);
    right().mul_(scalar(hyper_beta2)).add_(at::matmul(g.mT(), g) * rest);
  }
};

// Eigenvectors by descending eigenvalue.
Tensor eigenbasis(const Tensor& factor) {
  const Tensor ridged = factor + ridge * at::eye(factor.size(-1), factor.options());
  return std::get<1>(at::linalg_eigh(ridged)).flip({-1});
}

// One step of orthogonal iteration. The columns are first sorted by their Rayleigh quotients;
// returns the order, which the second moment has to follow along `basis`'s side.
Tensor renew(const Tensor& factor, Tensor basis) {
  const Tensor product = at::matmul(factor, basis);
  const Tensor order = (basis * product).sum(1).argsort(-1, true);
  const Tensor sorted = product.gather(-1, order.unsqueeze(1).expand_as(product));
  basis.copy_(std::get<0>(at::linalg_qr(sorted)));
  return order;
}

void renew_bases(const Matrix& matrix) {
  Tensor v = matrix.moment("exp_avg_sq");
  const Tensor rows = renew(matrix.left(), matrix.left_basis());
  v.copy_(v.gather(1, rows.unsqueeze(2).expand_as(v)));
  const Tensor columns = renew(matrix.right(), matrix.right_basis());
  v.copy_(v.gather(2, columns.unsqueeze(1).expand_as(v)));
}

void adam_in_basis(const Matrix& matrix, const Tensor& g, const Tensor& steps) {
  const StepInput& in = matrix.in;
  const Factors& f = in.layout.factors[matrix.index];
  const Tensor beta1 = matrix.scalar(hyper_beta1), beta2 = matrix.scalar(hyper_beta2);
  Tensor m = matrix.moment("exp_avg"), v = matrix.moment("exp_avg_sq");
  const Tensor turned = matrix.rotated(g);
  m.mul_(beta1).add_(turned * (1.0 - beta1));
  v.mul_(beta2).add_(turned * turned * (1.0 - beta2));
  const Tensor correction = at::sqrt(1.0 - at::pow(beta2, steps)) / (1.0 - at::pow(beta1, steps));
  const Tensor denominator = at::sqrt(v) + matrix.scalar(hyper_epsilon) * f.epsilon;
  Tensor w = view(in.layout, in.weights, matrix.index);
  w.sub_(matrix.rotated_back(m / denominator) * correction * (matrix.scalar(hyper_lr) * f.C));
  w.sub_(w * (matrix.scalar(hyper_decay) * f.decay));
}

void soap_tensor(const StepInput& in, size_t index, const Tensor& steps, bool first, bool renewal) {
  const auto& shape = in.layout.tensors[index].shape;
  const Matrix matrix{in, index, shape[0], shape[1]};
  Tensor g = view(in.layout, in.gradient, index) * matrix.scalar(hyper_scale);
  // Decompositions want numbers, of members too that are left as they are.
  if (in.alive.defined()) g = at::where(in.alive.view({-1, 1, 1}) > 0, g, 0.0);
  if (first) {
    matrix.measure(g);
    matrix.left_basis().copy_(eigenbasis(matrix.left()));
    matrix.right_basis().copy_(eigenbasis(matrix.right()));
    return;
  }
  adam_in_basis(matrix, g, steps.unsqueeze(2));
  // The first moment is kept in the basis that the next step rotates into.
  Tensor m = matrix.moment("exp_avg");
  const Tensor plain = renewal ? matrix.rotated_back(m) : Tensor();
  matrix.measure(g);
  if (!renewal) return;
  renew_bases(matrix);
  m.copy_(matrix.rotated(plain));
}

void soap_matrices(const StepInput& in, const Tensor& steps) {
  // Members of one call are equally far, but for those that are left as they are.
  const double done = steps.max().item<double>();
  for (size_t i = 0; i < in.layout.tensors.size(); ++i)
    if (is_hidden_matrix(in.layout.tensors[i]))
      soap_tensor(in, i, steps, done == 0.0, std::fmod(done, basis_every) == 0.0);
    else if (!in.weights.is_cuda())
      adamw_tensor(in, i);
}

}  // namespace

std::vector<StateSpec> soap_state(const Layout& layout) {
  std::vector<StateSpec> state = adamw_state(layout);
  state.push_back({"steps", 1});
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    if (!is_hidden_matrix(layout.tensors[i])) continue;
    const int64_t m = layout.tensors[i].shape[0], n = layout.tensors[i].shape[1];
    for (const auto& [name, size] : {std::pair{"L", m}, {"Q_L", m}, {"R", n}, {"Q_R", n}})
      state.push_back({fmt::format("{}.{}", name, i), size * size});
  }
  return state;
}

void soap_step(const StepInput& in) {
  Tensor steps = in.state.at("steps");
  if (!in.weights.is_cuda()) {
    soap_matrices(in, steps);
    steps.add_(1.0);
    return;
  }
#ifdef RUNG_CUDA
  step_alive(in, [&] {
    soap_matrices(in, steps);
    adamw_others_cuda(in);
    steps.add_(1.0);
  });
#endif
}

}  // namespace rung
