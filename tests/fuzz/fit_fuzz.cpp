// Small tables of any values through the whole fit: a fit, a refusal or an Error; never a crash or
// a hang. Needs clang:
//   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DRUNG_TORCH=OFF -DRUNG_FUZZ=ON
//   ninja -C build-fuzz fit_fuzz && build-fuzz/tests/fuzz/fit_fuzz -max_total_time=600
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "law/fit.h"
#include "law/fit_json.h"

using namespace rung;

namespace {

// Mostly plausible numbers, sometimes any bits at all.
double number(const uint8_t* bytes, bool wild, double scale) {
  if (wild) {
    double value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  uint16_t small;
  std::memcpy(&small, bytes, sizeof small);
  return scale * std::exp(small / 8192.0);
}

}  // namespace

// Byte 0: the law and whether values are wild; byte 1: objective and resamples; then 24 bytes a
// row.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 + 24) return 0;
  const size_t rows = std::min<size_t>((size - 2) / 24, 24);
  std::vector<double> n, d, loss;
  for (size_t row = 0; row < rows; ++row) {
    const uint8_t* at = data + 2 + 24 * row;
    const bool wild = data[0] & 0x80;
    n.push_back(number(at, wild, 1e6));
    d.push_back(number(at + 8, wild, 1e8));
    loss.push_back(number(at + 16, wild, 1.0));
  }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  // With small start grids: the sanitizers slow a fit down a lot.
  constexpr const char* laws[] = {
      R"json({"formula": "E + A/N^a + B/D^b", "inputs": {"N": "", "D": ""},
              "coefficients": {"E": {"lo": 0}, "A": {"scale": "log"}, "B": {"scale": "log"},
                               "a": {"lo": 0.005, "hi": 3, "grid": [0.1, 0.9, 4]},
                               "b": {"lo": 0.005, "hi": 3, "grid": [0.1, 0.9, 4]}}})json",
      "power",
      R"json({"formula": "E + A/(N^a + D^b)", "inputs": {"N": "", "D": ""},
              "coefficients": {"a": {"grid": [0.1, 0.9, 3]}, "b": {"grid": [0.1, 0.9, 3]}}})json"};
  constexpr const char* objectives[] = {"huber-log", "huber", "mae-asymmetric", "least-squares"};
  FitOptions options{.law = laws[(data[0] & 0x7f) % 3], .objective = objectives[data[1] % 4]};
  options.bootstrap = data[1] & 0x40 ? 3 : 0;
  options.refuse = !(data[1] & 0x80);
  options.threads = 1;
  try {
    const Fit fit = fit_law(table, options);
    if (!fit.refused() && !std::isfinite(fit.objective_value)) std::abort();
    fit_from_json(Json::parse(fit_to_json(fit).dump()));
  } catch (const Error&) {
  }
  return 0;
}
