// A law is data plus one formula: what it reads, what it fits, where that lies, and when data
// determine it. The formula is a template over the scalar type (law/formula.h), so value, gradient
// and Hessian come from one text. A new law is one file in law/laws, one test, and one line in the
// table of law.cpp.
#pragma once
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace rung {

constexpr int max_coefficients = 32;
constexpr int max_inputs = 24;
constexpr double unbounded = std::numeric_limits<double>::infinity();

// The scale on which a coefficient is searched: theta = value, or theta = ln value (value > 0).
enum class Scale { identity, log };

struct Coefficient {
  std::string_view name;     // as the formula prints it
  std::string_view meaning;  // a few words
  Scale scale = Scale::identity;
  double lo = -unbounded, hi = unbounded;  // bounds of the value
  bool linear = false;  // the formula (log_linear: its logarithm) is linear in it: eliminated on
                        // the start grid, as a non-negative value unless `lo` allows less
  double grid_lo = 0.0, grid_hi = 0.0;  // non-linear ones: range of the start grid
  int grid_points = 0;
  // >= 0: bounds and grid are the range of this input instead (the place of a break).
  int along_input = -1;
  bool held = false;      // at its typical value unless the caller bounds it
  bool nuisance = false;  // may stay undetermined without making the fit useless
  double typical = std::numeric_limits<double>::quiet_NaN();  // value in the law's source
};

// What a realistic table of this law holds: where simulated ladders (tests, the coverage study) are
// planted.
struct InputRange {
  double lo = 0.0, hi = 0.0;
  bool linear = false;  // spread evenly in the value rather than in its logarithm
};

// What an input may hold, and which designs leave the law determined all the same.
enum class Domain { positive, non_negative, real };
struct InputRule {
  Domain domain = Domain::positive;  // beyond `positive` the formula must not read its logarithm
  bool may_be_constant = false;      // the coefficients do not need it to vary
  bool may_follow = false;           // nor to vary independently of the other inputs
};

struct Law;
struct Planted;
struct BoundLaw;
struct Binding;

// Evaluates `rows` rows at coefficients `c` (natural scale). Inputs are [rows, 2 k]: k values, then
// their k logarithms. Output is [rows, jet_size(order, K)]: value, gradient (order >= 1), Hessian's
// lower triangle (2).
using Evaluate = void (*)(const Law& law, const double* c, const double* inputs, size_t rows,
                          int order, double* out);

struct Law {
  std::string_view name, formula, source;
  std::string_view identifiable;  // what the data must hold for the coefficients to be determined
  std::span<const std::string_view> inputs;
  std::span<const Coefficient> coefficients;
  Evaluate evaluate = nullptr;
  const void* context = nullptr;  // what a law made at run time (a parsed formula) reads
  std::string_view definition{};  // of a law made at run time: the text that makes it again
  std::string_view target = "L";  // the quantity that the formula gives: L, accuracy, lr, ...
  std::string_view objective = "huber-log";  // what is minimised unless the caller asks for another
  // Per input; with the typical coefficients, a planted truth.
  std::span<const InputRange> design{};
  double noise = 0.005;  // typical deviation of a measurement, in the objective's residual
  std::span<const InputRule> input_rules{};  // per input; empty: all positive, all must vary
  bool log_linear = false;  // a product of powers: its linear coefficients act on the logarithm
  // >= 0: this input numbers the run that a row is a moment of. It is no quantity to vary, and the
  // rows of a run are resampled in blocks.
  int run_input = -1;
  BoundLaw (*bind)(const Law&, const Binding&) = nullptr;  // reads more than a row: law/bind.h
  // Where the default design does not determine the law: another one, and what else is known.
  void (*plan)(Planted&) = nullptr;

  InputRule input_rule(size_t input) const {
    return input < input_rules.size() ? input_rules[input] : InputRule{};
  }
};

// A family of laws made at run time from a text: a definition in TOML, or a name with arguments
// (`mixture:web,code`). What is made lives as long as the process, and the same text gives the same
// law.
struct LawFamily {
  std::string_view name;                 // as `rung laws` prints it
  bool (*reads)(std::string_view text);  // whether a text is one of this family
  const Law& (*make)(std::string_view text);
};

constexpr size_t jet_size(int order, size_t k) {
  return order == 0 ? 1 : order == 1 ? 1 + k : 1 + k + k * (k + 1) / 2;
}

// Every law, in the order that `rung laws` prints.
std::span<const Law* const> laws();
std::span<const LawFamily* const> law_families();

// By name, or made from a family's text; fails (usage), naming the nearest.
const Law& find_law(std::string_view name);

// The law's value at one point: `values` in the order of law.inputs, `c` in the order of
// law.coefficients.
double evaluate_law(const Law& law, std::span<const double> c, std::span<const double> values);

// Position of a coefficient by name; fails (usage), naming the nearest.
int find_coefficient(const Law& law, std::string_view name);

}  // namespace rung
