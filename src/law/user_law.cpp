#include "law/user_law.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <mutex>

#include "core/error.h"
#include "core/nearest.h"
#include "law/formula_tree.h"

namespace rung {
namespace {

// What the views in a Law point to.
struct OwnedLaw {
  Law law;
  FormulaTree tree;
  std::deque<std::string> texts;  // stable addresses
  std::vector<std::string_view> inputs;
  std::vector<Coefficient> coefficients;

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

// Reads the keys of one table and complains about those that nobody asked for.
class Keys {
 public:
  Keys(const Json& table, std::string where) : table_(table), where_(std::move(where)) {
    if (!table_.is_object()) fail_usage("[law] {} is no table of keys.", where_);
  }
  const Json* find(std::string_view key) {
    asked_.push_back(key);
    const auto found = table_.find(key);
    return found == table_.end() ? nullptr : &*found;
  }
  std::string text(std::string_view key, std::string absent) {
    const Json* value = find(key);
    if (!value) return absent;
    if (!value->is_string()) wrong(key, "text in quotes", *value);
    return value->get<std::string>();
  }
  double number(std::string_view key, double absent) {
    const Json* value = find(key);
    if (!value) return absent;
    if (!value->is_number()) wrong(key, "a number", *value);
    return value->get<double>();
  }
  bool truth(std::string_view key) {
    const Json* value = find(key);
    if (!value) return false;
    if (!value->is_boolean()) wrong(key, "true or false", *value);
    return value->get<bool>();
  }
  [[noreturn]] void wrong(std::string_view key, std::string_view wanted, const Json& value) const {
    fail_usage("[law] {}: {} takes {}. Received {}.", where_, key, wanted, value.dump());
  }
  void finish() const {
    for (const auto& [key, value] : table_.items()) {
      if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
      fail_usage("[law] {}: Unknown key. Received {}. The nearest is {}.", where_, key,
                 nearest_name(key, asked_));
    }
  }

 private:
  const Json& table_;
  std::string where_;
  std::vector<std::string_view> asked_;
};

void read_grid(Keys& keys, Coefficient& coefficient, const std::string& where) {
  const Json* grid = keys.find("grid");
  if (!grid) {
    if (coefficient.linear) return;
    fail_usage(
        "[law] {}: The formula is not linear in it, so its start grid is needed: grid = [from, to, "
        "points]. (If it is an input, list it below [inputs].)",
        where);
  }
  if (!grid->is_array() || grid->size() != 3 || !(*grid)[0].is_number() ||
      !(*grid)[1].is_number() || !(*grid)[2].is_number_integer())
    keys.wrong("grid", "[from, to, points]", *grid);
  coefficient.grid_lo = (*grid)[0].get<double>();
  coefficient.grid_hi = (*grid)[1].get<double>();
  const int64_t points = (*grid)[2].get<int64_t>();
  const bool ordered = coefficient.grid_lo <= coefficient.grid_hi;
  const bool positive = coefficient.scale != Scale::log || coefficient.grid_lo > 0.0;
  if (!ordered || !positive || points < 1 || points > 1024)
    keys.wrong("grid", "from <= to (positive on a log scale) and 1 to 1024 points", *grid);
  coefficient.grid_points = static_cast<int>(points);
}

Coefficient read_coefficient(OwnedLaw& owned, const std::string& name, bool linear,
                             const Json& table, const std::string& source,
                             std::map<std::string, std::string>& units) {
  const std::string where = fmt::format("{}, coefficient {}", source, name);
  Keys keys(table, where);
  const std::string scale = keys.text("scale", "identity");
  if (scale != "identity" && scale != "log")
    fail_usage("[law] {}: scale is identity or log. Received {}.", where, scale);
  Coefficient coefficient{.name = owned.keep(name)};
  coefficient.scale = scale == "log" ? Scale::log : Scale::identity;
  coefficient.meaning = owned.keep(keys.text("meaning", "coefficient " + name));
  coefficient.lo = keys.number("lo", coefficient.scale == Scale::log ? 0.0 : -unbounded);
  coefficient.hi = keys.number("hi", unbounded);
  if (!(coefficient.lo < coefficient.hi) || (coefficient.scale == Scale::log && coefficient.lo < 0))
    fail_usage("[law] {}: Its bounds are no range of its scale. Received {} .. {}.", where,
               coefficient.lo, coefficient.hi);
  coefficient.linear = linear;
  coefficient.nuisance = keys.truth("nuisance");
  coefficient.typical = keys.number("typical", std::nan(""));
  if (const std::string unit = keys.text("unit", ""); !unit.empty()) units[name] = unit;
  read_grid(keys, coefficient, where);
  keys.finish();
  return coefficient;
}

std::vector<std::string> read_inputs(const Json* table, const std::string& source,
                                     std::map<std::string, std::string>& units) {
  if (!table || !table->is_object() || table->empty())
    fail_usage("[law] {}: [inputs] is missing. Write a line NAME = \"UNIT\" for each.", source);
  std::vector<std::string> names;
  for (const auto& [name, unit] : table->items()) {
    if (!unit.is_string())
      fail_usage("[law] {}: The unit of {} is text in quotes. Received {}.", source, name,
                 unit.dump());
    names.push_back(name);
    units[name] = unit.get<std::string>();
  }
  if (names.size() > max_inputs)
    fail_usage("[law] {}: At most {} inputs. Received {}.", source, max_inputs, names.size());
  return names;
}

// The product of the grids of the coefficients that are not linear bounds the time of a fit.
void check_grid(const OwnedLaw& owned, const std::string& source) {
  constexpr double most_cells = 1e5;
  double cells = 1.0;
  for (const Coefficient& c : owned.coefficients)
    if (!c.linear) cells *= c.grid_points;
  if (cells > most_cells)
    fail_usage(
        "[law] {}: The start grids have {:.3g} cells together, more than {:.0e}. Give fewer "
        "points.",
        source, cells, most_cells);
}

void read_coefficients(OwnedLaw& owned, const Json* table, const std::string& source,
                       std::map<std::string, std::string>& units) {
  static const Json none = Json::object();
  if (!table) table = &none;
  if (!table->is_object()) fail_usage("[law] {}: [coefficients] is no table.", source);
  const std::vector<bool> linear = linear_coefficients(owned.tree);
  const std::vector<std::string_view> known(owned.tree.coefficients.begin(),
                                            owned.tree.coefficients.end());
  for (const auto& [name, value] : table->items())
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail_usage("[law] {}: The formula has no such coefficient. Received {}. The nearest is {}.",
                 source, name, nearest_name(name, known));
  for (size_t i = 0; i < known.size(); ++i) {
    const std::string& name = owned.tree.coefficients[i];
    const auto found = table->find(name);
    owned.coefficients.push_back(read_coefficient(
        owned, name, linear[i], found == table->end() ? none : *found, source, units));
  }
  check_grid(owned, source);
}

}  // namespace

std::shared_ptr<const Law> make_law(const Json& definition, const std::string& source) {
  const auto owned = std::make_shared<OwnedLaw>();
  Law& law = owned->law;
  Keys keys(definition, source);
  std::map<std::string, std::string> units;
  const std::string formula = keys.text("formula", "");
  if (formula.empty())
    fail_usage("[law] {}: formula is missing. Example: formula = \"L = E + A/N^alpha\".", source);
  const std::vector<std::string> inputs = read_inputs(keys.find("inputs"), source, units);
  owned->tree = parse_formula(formula, inputs);
  read_coefficients(*owned, keys.find("coefficients"), source, units);
  const std::string unit = keys.text("unit", "");
  // An input with an empty unit switches the check off: nothing can be said about its terms.
  bool checked = true;
  for (const std::string& name : inputs) checked &= !units[name].empty();
  if (checked) check_units(owned->tree, units, unit);
  for (const std::string& name : inputs) owned->inputs.push_back(owned->keep(name));
  law.name = owned->keep(keys.text("name", "formula"));
  law.formula = owned->keep(formula);
  law.source = owned->keep(keys.text("source", source));
  law.identifiable = owned->keep(keys.text("identifiable", "not stated"));
  law.inputs = owned->inputs;
  law.coefficients = owned->coefficients;
  law.evaluate = evaluate_tree;
  law.context = &owned->tree;
  law.target = owned->tree.target.empty() ? "L" : std::string_view(owned->tree.target);
  law.objective = owned->keep(keys.text("objective", "huber-log"));
  law.noise = keys.number("noise", law.noise);
  keys.finish();
  law.definition = owned->keep(definition.dump());
  return {owned, &owned->law};
}

namespace {

// Definitions live on: a Law is a plain reference wherever it goes.
const Law& make_kept(std::string_view text) {
  static std::mutex guard;
  static std::map<std::string, std::shared_ptr<const Law>, std::less<>> kept;
  const std::lock_guard lock(guard);
  const auto known = kept.find(text);
  if (known != kept.end()) return *known->second;
  const Json definition = Json::parse(text, nullptr, false);
  if (definition.is_discarded())
    fail_usage("[law] A definition is a JSON object. Received {}.", text);
  return *kept.emplace(text, make_law(definition, "definition")).first->second;
}

}  // namespace

constinit const LawFamily formula_family = {
    .name = "LAW.toml",
    .reads = [](std::string_view text) { return text.starts_with("{"); },
    .make = make_kept,
};

}  // namespace rung
