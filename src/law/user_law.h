// A law that its user wrote down: a formula as text with inputs, coefficients and units. It goes
// through the same fitter as the laws of the table. As TOML:
//
//   name = "my-law"
//   formula = "L = E + A/N^alpha + B/D^beta"
//   unit = "nats"                                  # of the result; optional
//   objective = "huber-log"                        # optional
//   [inputs]                                       # name = unit; "1" is dimensionless, ""
//   unchecked N = "parameters" D = "tokens" [coefficients]                                 # scale
//   "log": positive, searched by its logarithm E = { lo = 0, meaning = "irreducible loss" } A = {
//   scale = "log" } B = { scale = "log" } alpha = { lo = 0.005, hi = 3, grid = [0.05, 0.95, 32] }
//   beta = { lo = 0.005, hi = 3, grid = [0.05, 0.95, 32] }
//
// Coefficients in which the formula is linear are found and need no grid; the others need `grid =
// [from, to, points]`. Further keys: source, identifiable, noise; of a coefficient: unit, nuisance,
// typical.
#pragma once
#include <memory>
#include <string>

#include "core/json.h"
#include "law/law.h"

namespace rung {

// Usage errors (unknown keys with the nearest, syntax with its character, unlike units) name
// `source`.
std::shared_ptr<const Law> make_law(const Json& definition, const std::string& source);

// The same as a family of law/law.h: its texts are such definitions as JSON objects, `{"formula":
// ...}`. FitOptions::law and fit.json hold them.
extern const LawFamily formula_family;

}  // namespace rung
