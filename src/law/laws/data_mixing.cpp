// Data mixing: the loss on one validation domain against the shares r_j of the training domains at
// a fixed size and token count, L = c + k exp(sum_j t_j r_j).
// Source: Ye et al. 2024, "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language
// Modeling Performance", equations 1 and 7. The shares sum to one, so one of its t_j (or k) is
// redundant: here one domain is left unnamed, and t_j says what domain j does in its place.
// `data-mixing` reads columns r1 and r2; `data-mixing:books,code` makes the law of the columns
// named.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/error.h"
#include "law/law.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

constexpr size_t first_effect = 2;  // c and k come before the t_j
constexpr int most_domains = 10;    // named ones: a start grid has three points for each

void evaluate_mixing(const Law& law, const double* c, const double* inputs, size_t rows, int order,
                     double* out) {
  const size_t domains = law.inputs.size();
  for (size_t row = 0; row < rows; ++row, inputs += 2 * domains) {
    double power = 0.0;
    for (size_t j = 0; j < domains; ++j) power += c[first_effect + j] * inputs[j];
    const double factor = std::exp(power), term = c[1] * factor;
    *out++ = c[0] + term;
    if (order == 0) continue;
    *out++ = 1.0;
    *out++ = factor;
    for (size_t j = 0; j < domains; ++j) *out++ = term * inputs[j];
    if (order == 1) continue;
    // Lower triangle by rows: (c,c), (k,c), (k,k), then one row a domain.
    for (int i = 0; i < 3; ++i) *out++ = 0.0;
    for (size_t i = 0; i < domains; ++i) {
      *out++ = 0.0;
      *out++ = factor * inputs[i];
      for (size_t j = 0; j <= i; ++j) *out++ = term * inputs[i] * inputs[j];
    }
  }
}

constexpr Coefficient base_coefficients[] = {
    {.name = "c",
     .meaning = "loss that no mixture removes",
     .lo = 0.0,
     .linear = true,
     .typical = 1.5},
    factor_coefficient("k", "the rest, on the unnamed domain alone", 1.5),
};

constexpr Coefficient effect(std::string_view name, std::string_view meaning, int points,
                             double typical) {
  return {.name = name,
          .meaning = meaning,
          .lo = -60.0,
          .hi = 60.0,
          .grid_lo = -3.0,
          .grid_hi = 3.0,
          .grid_points = points,
          .typical = typical};
}

constexpr std::string_view mixing_source = "Ye et al. 2024, equations 1 and 7";
constexpr std::string_view identifiable =
    "more mixtures than named domains + 2, whose shares vary independently; leave one domain "
    "unnamed, as the shares sum to one; c needs losses that bend away from an exponential";
constexpr InputRule mixture_share{.domain = Domain::non_negative};

// What a law made at run time points to.
struct Made {
  std::string text, formula;
  std::vector<std::string> names, effects, meanings;
  std::vector<std::string_view> inputs;
  std::vector<Coefficient> coefficients;
  std::vector<InputRange> design;
  std::vector<InputRule> rules;
  Law law;
};

constexpr std::string_view prefix = "data-mixing:";

std::vector<std::string> domains_of(std::string_view text) {
  std::vector<std::string> names;
  for (std::string_view rest = text.substr(prefix.size());;) {
    const size_t comma = rest.find(',');
    const std::string name(rest.substr(0, comma));
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end())
      fail_usage(
          "[law] data-mixing takes distinct columns, as data-mixing:books,code. Received {}.",
          text);
    names.push_back(name);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (names.size() > most_domains)
    fail_usage("[law] data-mixing takes up to {} named domains. Received {}. Merge the rarest.",
               most_domains, names.size());
  return names;
}

std::unique_ptr<Made> make(std::string_view text) {
  auto made = std::make_unique<Made>();
  made->text = text;
  made->names = domains_of(text);
  const size_t n = made->names.size();
  std::string sum;
  for (const std::string& name : made->names) {
    made->effects.push_back("t_" + name);
    made->meanings.push_back("effect of " + name + " in place of the unnamed domain");
    sum += (sum.empty() ? "t_" : " + t_") + name + " " + name;
  }
  made->formula = "L = c + k exp(" + sum + ")";
  made->coefficients.assign(std::begin(base_coefficients), std::end(base_coefficients));
  const int points = n == 1 ? 25 : n == 2 ? 13 : n == 3 ? 7 : n == 4 ? 5 : 3;
  for (size_t j = 0; j < n; ++j) {
    made->inputs.push_back(made->names[j]);
    made->coefficients.push_back(
        effect(made->effects[j], made->meanings[j], points, j % 2 == 0 ? -1.5 : 0.5));
  }
  made->design.assign(n, {0.0, 1.0 / static_cast<double>(n), true});
  made->rules.assign(n, mixture_share);
  made->law = data_mixing_law;
  made->law.name = made->law.definition = made->text;
  made->law.formula = made->formula;
  made->law.inputs = made->inputs;
  made->law.coefficients = made->coefficients;
  made->law.design = made->design;
  made->law.input_rules = made->rules;
  return made;
}

bool reads(std::string_view text) {
  return text.starts_with(prefix);
}

const Law& find_or_make(std::string_view text) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Made>, std::less<>> all;
  const std::lock_guard lock(mutex);
  const auto found = all.find(text);
  if (found != all.end()) return found->second->law;
  return all.emplace(text, make(text)).first->second->law;
}

constexpr std::string_view data_mixing_inputs[] = {"r1", "r2"};
constexpr Coefficient data_mixing_coefficients[] = {
    base_coefficients[0], base_coefficients[1],
    effect("t1", "effect of domain 1 in place of the unnamed one", 13, -1.5),
    effect("t2", "effect of domain 2 in place of the unnamed one", 13, 0.5)};
constexpr InputRange data_mixing_design[] = {{0.0, 0.5, true}, {0.0, 0.5, true}};
constexpr InputRule data_mixing_rules[] = {mixture_share, mixture_share};

}  // namespace

constinit const Law data_mixing_law = {
    .name = "data-mixing",
    .formula = "L = c + k exp(t1 r1 + t2 r2); data-mixing:A,B,... for columns A, B, ...",
    .source = mixing_source,
    .identifiable = identifiable,
    .inputs = data_mixing_inputs,
    .coefficients = data_mixing_coefficients,
    .evaluate = evaluate_mixing,
    .design = data_mixing_design,
    .noise = 0.002,
    .input_rules = data_mixing_rules,
};

constinit const LawFamily data_mixing_family = {
    .name = "data-mixing:A,B,...", .reads = reads, .make = find_or_make};

}  // namespace rung
