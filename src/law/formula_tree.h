// A law's formula as text, parsed to a tree: `L = E + A/N^alpha + B/D^beta`. Numbers, + - * / ^ (or
// **), unary -, parentheses and the functions of law/tokens.h; names that are no input are
// coefficients. A name with other characters stands in backticks.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "law/tokens.h"

namespace rung {

enum class FormulaOp {
  number,
  input,
  coefficient,
  negate,
  add,
  subtract,
  multiply,
  divide,
  power,
  function
};

struct FormulaNode {
  FormulaOp op = FormulaOp::number;
  double number = 0.0;                      // of a number
  int index = -1;                           // of an input or a coefficient
  int left = -1, right = -1;                // operands, earlier in the list
  const NamedFunction* function = nullptr;  // applied to `left`
  size_t at = 1;                            // its character in the text
  bool uses_input = false, uses_coefficient = false;
};

struct FormulaTree {
  std::string text;
  std::string target;                       // left of an equals sign; empty without one
  std::vector<FormulaNode> nodes{};         // operands before operators; the last one is the root
  std::vector<std::string> inputs{};        // as given
  std::vector<std::string> coefficients{};  // in the order of their first appearance
};

// Usage errors name the character. Fails when the formula has no coefficient.
FormulaTree parse_formula(std::string_view text, std::span<const std::string> inputs);

// The largest set of coefficients in which the formula is linear (jointly: no products of two, none
// inside a power or a function), found greedily from every first member; true per coefficient.
std::vector<bool> linear_coefficients(const FormulaTree& tree);

// Units: name of an input or coefficient -> unit; "1" is dimensionless. A coefficient without one
// takes whatever unit its place needs. Usage errors where unlike units are added, or an exponent or
// a function's argument has one (a root's may); `target` is the unit of the result, "" any.
void check_units(const FormulaTree& tree, const std::map<std::string, std::string>& units,
                 std::string_view target);

// Evaluate (law/law.h) of a law whose context is a FormulaTree.
struct Law;
void evaluate_tree(const Law& law, const double* c, const double* inputs, size_t rows, int order,
                   double* out);

}  // namespace rung
