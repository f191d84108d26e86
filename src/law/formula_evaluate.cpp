// A formula tree evaluated on chunks of rows: value, exact gradient and Hessian by dual numbers. A
// part without coefficients is computed in plain numbers, a part without inputs once a call.
#include <array>
#include <cmath>

#include "law/dual.h"
#include "law/formula_tree.h"
#include "law/law.h"

namespace rung {
namespace {

double apply(const NamedFunction& f, double x) {
  return f.value(x);
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> apply(const NamedFunction& f, const Jet<Mask, Order>& x) {
  return chain(x, f.value(x.value), f.slope(x.value), Order == 2 ? f.curvature(x.value) : 0.0);
}

template <class T, class A, class B>
T combine(FormulaOp op, const A& a, const B& b) {
  switch (op) {
    case FormulaOp::add:
      return a + b;
    case FormulaOp::subtract:
      return a - b;
    case FormulaOp::multiply:
      return a * b;
    default:
      return a / b;
  }
}

// Values of all nodes for one row: plain numbers where no coefficient enters, T elsewhere.
template <class T>
class Machine {
 public:
  Machine(const FormulaTree& tree, const T* coefficients)
      : tree_(tree), numbers_(tree.nodes.size()), jets_(tree.nodes.size()) {
    for (size_t i = 0; i < tree.nodes.size(); ++i) {
      const FormulaNode& node = tree.nodes[i];
      if (node.op == FormulaOp::coefficient)
        jets_[i] = coefficients[node.index];
      else if (node.uses_input)
        rows_.push_back(static_cast<int>(i));
      else
        compute(static_cast<int>(i), nullptr);
    }
  }

  T run(const double* inputs) {
    for (const int i : rows_) compute(i, inputs);
    const int root = static_cast<int>(tree_.nodes.size()) - 1;
    return tree_.nodes[root].uses_coefficient ? jets_[root] : T(numbers_[root]);
  }

 private:
  bool plain(int node) const { return !tree_.nodes[node].uses_coefficient; }

  void compute(int i, const double* inputs) {
    const FormulaNode& node = tree_.nodes[i];
    switch (node.op) {
      case FormulaOp::number:
        numbers_[i] = node.number;
        return;
      case FormulaOp::input:
        numbers_[i] = inputs[node.index];
        return;
      case FormulaOp::coefficient:
        return;
      case FormulaOp::negate:
        unary(i, node.left);
        return;
      case FormulaOp::function:
        if (plain(i))
          numbers_[i] = apply(*node.function, numbers_[node.left]);
        else
          jets_[i] = apply(*node.function, jets_[node.left]);
        return;
      case FormulaOp::power:
        power(i, node, inputs);
        return;
      default:
        binary(i, node);
    }
  }
  void unary(int i, int operand) {
    if (plain(i))
      numbers_[i] = -numbers_[operand];
    else
      jets_[i] = -jets_[operand];
  }
  void binary(int i, const FormulaNode& node) {
    const int a = node.left, b = node.right;
    if (plain(i))
      numbers_[i] = combine<double>(node.op, numbers_[a], numbers_[b]);
    else if (plain(a))
      jets_[i] = combine<T>(node.op, numbers_[a], jets_[b]);
    else if (plain(b))
      jets_[i] = combine<T>(node.op, jets_[a], numbers_[b]);
    else
      jets_[i] = combine<T>(node.op, jets_[a], jets_[b]);
  }
  void power(int i, const FormulaNode& node, const double* inputs) {
    using std::exp;
    using std::pow;
    const int a = node.left, b = node.right;
    if (plain(i)) {
      numbers_[i] = std::pow(numbers_[a], numbers_[b]);
    } else if (plain(b)) {
      jets_[i] = pow(jets_[a], numbers_[b]);
    } else if (plain(a)) {
      // The inputs come with their logarithms.
      const FormulaNode& base = tree_.nodes[a];
      const double logarithm = base.op == FormulaOp::input
                                   ? inputs[tree_.inputs.size() + base.index]
                                   : std::log(numbers_[a]);
      jets_[i] = exp(jets_[b] * logarithm);
    } else {
      jets_[i] = pow(jets_[a], jets_[b]);
    }
  }

  const FormulaTree& tree_;
  std::vector<double> numbers_;
  std::vector<T> jets_;
  std::vector<int> rows_;
};

template <class T, class Store>
void run_rows(const FormulaTree& tree, const std::array<T, max_coefficients>& c,
              const double* inputs, size_t rows, Store&& store) {
  Machine<T> machine(tree, c.data());
  for (size_t row = 0; row < rows; ++row, inputs += 2 * tree.inputs.size())
    store(machine.run(inputs));
}

// K: a size that holds all k coefficients; the output keeps k.
template <int K, int Order>
void run_jets(const FormulaTree& tree, const double* c, const double* inputs, size_t rows,
              double* out) {
  using Number = Dual<K, Order>;
  const int k = static_cast<int>(tree.coefficients.size());
  std::array<Number, max_coefficients> at;
  for (int i = 0; i < k; ++i) at[i] = Number::variable(c[i], i);
  run_rows<Number>(tree, at, inputs, rows, [&](const Number& jet) {
    *out++ = jet.value;
    for (int i = 0; i < k; ++i) *out++ = jet.gradient[i];
    if constexpr (Order == 2)
      for (int i = 0; i < triangle(k); ++i) *out++ = jet.hessian[i];
  });
}

template <int K>
void run_order(const FormulaTree& tree, const double* c, const double* inputs, size_t rows,
               int order, double* out) {
  if (order == 1)
    run_jets<K, 1>(tree, c, inputs, rows, out);
  else
    run_jets<K, 2>(tree, c, inputs, rows, out);
}

}  // namespace

void evaluate_tree(const Law& law, const double* c, const double* inputs, size_t rows, int order,
                   double* out) {
  const FormulaTree& tree = *static_cast<const FormulaTree*>(law.context);
  const size_t k = tree.coefficients.size();
  if (order == 0) {
    std::array<double, max_coefficients> at{};
    for (size_t i = 0; i < k; ++i) at[i] = c[i];
    run_rows<double>(tree, at, inputs, rows, [&](double value) { *out++ = value; });
  } else if (k <= 3) {
    run_order<3>(tree, c, inputs, rows, order, out);
  } else if (k <= 5) {
    run_order<5>(tree, c, inputs, rows, order, out);
  } else if (k <= 8) {
    run_order<8>(tree, c, inputs, rows, order, out);
  } else {
    run_order<max_coefficients>(tree, c, inputs, rows, order, out);
  }
}

}  // namespace rung
