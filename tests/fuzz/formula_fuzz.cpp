// Any text as a law's formula: parsed, its units checked, evaluated with derivatives, or an Error.
// Needs clang:
//   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DRUNG_TORCH=OFF -DRUNG_FUZZ=ON
//   ninja -C build-fuzz formula_fuzz && build-fuzz/tests/fuzz/formula_fuzz -max_total_time=600
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/error.h"
#include "law/formula_tree.h"
#include "law/law.h"

using namespace rung;

namespace {

// The value is the same whatever derivatives come with it.
void evaluate_all(const FormulaTree& tree) {
  const Law law{.context = &tree};
  const size_t k = tree.coefficients.size();
  const std::vector<double> c(k, 0.5);
  const double inputs[] = {3.0, 7.0, std::log(3.0), std::log(7.0)};
  double values[3];
  for (int order = 0; order < 3; ++order) {
    std::vector<double> out(jet_size(order, k));
    evaluate_tree(law, c.data(), inputs, 1, order, out.data());
    values[order] = out[0];
  }
  if (!std::isfinite(values[0])) return;
  for (const double value : values)
    if (!(std::fabs(value - values[0]) <= 1e-6 * (std::fabs(values[0]) + 1.0))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> inputs{"N", "D"};
  try {
    const FormulaTree tree = parse_formula(text, inputs);
    if (linear_coefficients(tree).size() != tree.coefficients.size()) std::abort();
    evaluate_all(tree);
    check_units(tree, {{"N", "parameters"}, {"D", "tokens"}}, "nats");
  } catch (const Error&) {
  }
  return 0;
}
