#include "law/formula_tree.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/nearest.h"
#include "law/law.h"

namespace rung {
namespace {

constexpr std::string_view example = "L = E + A/N^alpha + B/D^beta";

class TreeParser {
 public:
  TreeParser(std::string_view text, FormulaTree& tree)
      : tokens_(text, "formula", example), tree_(tree) {
    tree_.text = text;
  }

  void parse() {
    if (tokens_.peek().kind == TokenKind::name && tokens_.peek(1).text == "=") {
      tree_.target = tokens_.next().text;
      tokens_.next();
    }
    sum();
    if (!tokens_.done()) tokens_.wrong("Unexpected text");
  }

 private:
  int add(FormulaNode node) {
    for (const int operand : {node.left, node.right}) {
      if (operand < 0) continue;
      node.uses_input |= tree_.nodes[operand].uses_input;
      node.uses_coefficient |= tree_.nodes[operand].uses_coefficient;
    }
    tree_.nodes.push_back(node);
    return static_cast<int>(tree_.nodes.size()) - 1;
  }
  int binary(FormulaOp op, int left, int right, size_t at) {
    tokens_.enter();
    return add({.op = op, .left = left, .right = right, .at = at});
  }

  int sum() {
    int left = product();
    while (true) {
      const size_t at = tokens_.peek().at;
      if (tokens_.take("+"))
        left = binary(FormulaOp::add, left, product(), at);
      else if (tokens_.take("-"))
        left = binary(FormulaOp::subtract, left, product(), at);
      else
        return left;
    }
  }
  int product() {
    int left = unary();
    while (true) {
      const size_t at = tokens_.peek().at;
      if (tokens_.take("*"))
        left = binary(FormulaOp::multiply, left, unary(), at);
      else if (tokens_.take("/"))
        left = binary(FormulaOp::divide, left, unary(), at);
      else
        return left;
    }
  }
  int unary() {
    tokens_.enter();
    const size_t at = tokens_.peek().at;
    if (tokens_.take("-")) return add({.op = FormulaOp::negate, .left = unary(), .at = at});
    const int base = primary();
    const size_t power = tokens_.peek().at;
    if (tokens_.take("^") || tokens_.take("**"))
      return binary(FormulaOp::power, base, unary(), power);
    return base;
  }
  int primary() {
    tokens_.enter();
    if (tokens_.take("(")) return closed();
    const Token token = tokens_.peek();
    if (token.kind == TokenKind::end) tokens_.wrong("The formula ends too early");
    if (token.kind == TokenKind::symbol) tokens_.wrong("Unexpected character");
    if (token.kind == TokenKind::text) tokens_.wrong("A formula holds no text");
    tokens_.next();
    if (token.kind == TokenKind::number)
      return add({.op = FormulaOp::number, .number = token.number, .at = token.at});
    if (!token.quoted && tokens_.take("(")) return call(token);
    return named(token);
  }
  int closed() {
    const int inner = sum();
    if (!tokens_.take(")")) tokens_.wrong("A parenthesis is not closed");
    return inner;
  }
  int call(const Token& name) {
    const NamedFunction* function = find_function(name.text);
    if (!function) {
      std::vector<std::string_view> names;
      for (const NamedFunction& known : named_functions()) names.push_back(known.name);
      tokens_.wrong(fmt::format("Unknown function {} (the nearest is {})", name.text,
                                nearest_name(name.text, names)),
                    name.at);
    }
    const int argument = closed();
    return add({.op = FormulaOp::function, .left = argument, .function = function, .at = name.at});
  }
  int named(const Token& token) {
    const auto position = [&](const std::vector<std::string>& names) {
      const auto found = std::find(names.begin(), names.end(), token.text);
      return found == names.end() ? -1 : static_cast<int>(found - names.begin());
    };
    if (const int input = position(tree_.inputs); input >= 0)
      return add({.op = FormulaOp::input, .index = input, .at = token.at, .uses_input = true});
    int coefficient = position(tree_.coefficients);
    if (coefficient < 0) {
      coefficient = static_cast<int>(tree_.coefficients.size());
      if (coefficient == max_coefficients)
        tokens_.wrong(fmt::format("More than {} coefficients", max_coefficients), token.at);
      tree_.coefficients.emplace_back(token.text);
    }
    return add({.op = FormulaOp::coefficient,
                .index = coefficient,
                .at = token.at,
                .uses_coefficient = true});
  }

  Tokens tokens_;
  FormulaTree& tree_;
};

// Degree of the formula in a set of coefficients; above 1: not linear.
int degree(const FormulaTree& tree, const std::vector<bool>& set) {
  constexpr int curved = 100;
  std::vector<int> degrees;
  for (const FormulaNode& node : tree.nodes) {
    const int left = node.left >= 0 ? degrees[node.left] : 0;
    const int right = node.right >= 0 ? degrees[node.right] : 0;
    int own = std::max(left, right);
    if (node.op == FormulaOp::coefficient) own = set[node.index] ? 1 : 0;
    if (node.op == FormulaOp::multiply) own = std::min(curved, left + right);
    if (node.op == FormulaOp::divide) own = right > 0 ? curved : left;
    if (node.op == FormulaOp::power || node.op == FormulaOp::function) own = own > 0 ? curved : 0;
    degrees.push_back(own);
  }
  return degrees.back();
}

}  // namespace

FormulaTree parse_formula(std::string_view text, std::span<const std::string> inputs) {
  FormulaTree tree;
  tree.inputs.assign(inputs.begin(), inputs.end());
  TreeParser(text, tree).parse();
  if (tree.coefficients.empty())
    fail_usage("[formula] There is no coefficient to fit. Received {}. Example: {}.", text,
               example);
  return tree;
}

std::vector<bool> linear_coefficients(const FormulaTree& tree) {
  const size_t count = tree.coefficients.size();
  std::vector<bool> best(count, false);
  for (size_t first = 0; first < count; ++first) {
    std::vector<bool> set(count, false);
    for (size_t i = 0; i < count; ++i) {
      const size_t tried = (first + i) % count;
      set[tried] = true;
      if (degree(tree, set) > 1) set[tried] = false;
    }
    if (std::count(set.begin(), set.end(), true) > std::count(best.begin(), best.end(), true))
      best = set;
  }
  return best;
}

}  // namespace rung
