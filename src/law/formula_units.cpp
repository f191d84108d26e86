// Dimension check of a formula: what may be added, raised and exponentiated.
#include <cmath>

#include "core/error.h"
#include "law/formula_tree.h"

namespace rung {
namespace {

// A product of units to powers; `free` where a coefficient without a unit makes it whatever is
// needed. An exponent that is no number stands in the unit's name: N^alpha has
// "parameters^(alpha)".
struct Unit {
  bool free = false;
  std::map<std::string, double> powers{};
  bool plain() const { return free || powers.empty(); }
};

std::string unit_text(const Unit& unit) {
  if (unit.free) return "any unit";
  if (unit.powers.empty()) return "no unit";
  std::string text;
  for (const auto& [name, power] : unit.powers)
    text += (text.empty() ? "" : " ") + (power == 1.0 ? name : fmt::format("{}^{:g}", name, power));
  return text;
}

bool same(const Unit& a, const Unit& b) {
  if (a.powers.size() != b.powers.size()) return false;
  for (auto i = a.powers.begin(), j = b.powers.begin(); i != a.powers.end(); ++i, ++j)
    if (i->first != j->first || std::fabs(i->second - j->second) > 1e-9) return false;
  return true;
}

Unit product(const Unit& a, const Unit& b, double sign) {
  if (a.free || b.free) return {.free = true};
  Unit result = a;
  for (const auto& [name, power] : b.powers) {
    double& sum = result.powers[name];
    sum += sign * power;
    if (std::fabs(sum) < 1e-9) result.powers.erase(name);
  }
  return result;
}

class Checker {
 public:
  Checker(const FormulaTree& tree, const std::map<std::string, std::string>& units)
      : tree_(tree), units_(units) {}

  Unit run() {
    for (const FormulaNode& node : tree_.nodes) known_.push_back(of(node));
    return known_.back();
  }

 private:
  [[noreturn]] void wrong(const FormulaNode& node, const std::string& what) const {
    fail_usage(
        "[formula] {} at character {}. Received {}. A coefficient without a unit takes the one "
        "that its place needs.",
        what, node.at, tree_.text);
  }

  Unit named(const std::string& name, bool coefficient) const {
    const auto found = units_.find(name);
    if (found == units_.end()) return {.free = coefficient};
    return found->second == "1" ? Unit{} : Unit{.powers = {{found->second, 1.0}}};
  }

  Unit of(const FormulaNode& node) const {
    switch (node.op) {
      case FormulaOp::number:
        return {};
      case FormulaOp::input:
        return named(tree_.inputs[node.index], false);
      case FormulaOp::coefficient:
        return named(tree_.coefficients[node.index], true);
      case FormulaOp::negate:
        return known_[node.left];
      case FormulaOp::multiply:
        return product(known_[node.left], known_[node.right], 1.0);
      case FormulaOp::divide:
        return product(known_[node.left], known_[node.right], -1.0);
      case FormulaOp::power:
        return power(node);
      case FormulaOp::function:
        return function(node);
      default:
        return sum(node);
    }
  }

  Unit sum(const FormulaNode& node) const {
    const Unit &left = known_[node.left], &right = known_[node.right];
    if (!left.free && !right.free && !same(left, right))
      wrong(node, fmt::format("{} and {} cannot be {}", unit_text(left), unit_text(right),
                              node.op == FormulaOp::add ? "added" : "subtracted"));
    return left.free ? right : left;
  }

  Unit power(const FormulaNode& node) const {
    const Unit &base = known_[node.left], &exponent = known_[node.right];
    if (!exponent.plain())
      wrong(tree_.nodes[node.right],
            fmt::format("An exponent has the unit {}", unit_text(exponent)));
    if (base.plain()) return base;
    Unit result;
    const double fixed = constant(node.right);
    for (const auto& [name, power] : base.powers) {
      if (std::isfinite(fixed) && fixed != 0.0) result.powers[name] = power * fixed;
      if (!std::isfinite(fixed))
        result.powers[fmt::format("{}^({})", name, text(node.right))] = power;
    }
    return result;
  }

  Unit function(const FormulaNode& node) const {
    const Unit& argument = known_[node.left];
    const std::string_view name = node.function->name;
    if (name == "abs" || argument.free) return argument;
    if (name == "sqrt") {
      Unit root = argument;
      for (auto& [unit, power] : root.powers) power *= 0.5;
      return root;
    }
    if (!argument.plain())
      wrong(node, fmt::format("The argument of {} has the unit {}", name, unit_text(argument)));
    return {};
  }

  // An exponent's name, so that equal ones compare equal.
  std::string text(int index) const {
    const FormulaNode& node = tree_.nodes[index];
    if (node.op == FormulaOp::coefficient) return tree_.coefficients[node.index];
    if (node.op == FormulaOp::negate) return "-" + text(node.left);
    return fmt::format("the exponent at character {}", node.at);
  }

  // Value of a part without inputs and coefficients as far as it is a number or its negative.
  double constant(int index) const {
    const FormulaNode& node = tree_.nodes[index];
    if (node.op == FormulaOp::number) return node.number;
    if (node.op == FormulaOp::negate) return -constant(node.left);
    if (node.uses_input || node.uses_coefficient || node.right < 0) return std::nan("");
    const double left = constant(node.left), right = constant(node.right);
    if (node.op == FormulaOp::divide) return left / right;
    if (node.op == FormulaOp::multiply) return left * right;
    if (node.op == FormulaOp::add) return left + right;
    if (node.op == FormulaOp::subtract) return left - right;
    return std::pow(left, right);
  }

  const FormulaTree& tree_;
  const std::map<std::string, std::string>& units_;
  std::vector<Unit> known_;
};

}  // namespace

void check_units(const FormulaTree& tree, const std::map<std::string, std::string>& units,
                 std::string_view target) {
  const Unit result = Checker(tree, units).run();
  const Unit wanted = target == "1" ? Unit{} : Unit{.powers = {{std::string(target), 1.0}}};
  if (target.empty() || result.free || same(result, wanted)) return;
  fail_usage("[formula] The result has {} where {} is wanted. Received {}.", unit_text(result),
             unit_text(wanted), tree.text);
}

}  // namespace rung
