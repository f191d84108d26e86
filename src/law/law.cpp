#include "law/law.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "law/laws/laws.h"

namespace rung {
namespace {

// The table: one line a law.
constexpr std::array law_table = {
    &chinchilla_law,
    &power_law,
    &broken_power_law,
};

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// Levenshtein's distance, ignoring case.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::span<const Law* const> laws() {
  return law_table;
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  const auto closer = [&](std::string_view a, std::string_view b) {
    return edit_distance(name, a) < edit_distance(name, b);
  };
  const auto best = std::min_element(candidates.begin(), candidates.end(), closer);
  return best == candidates.end() ? std::string_view() : *best;
}

const Law& find_law(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Law* law : laws()) {
    if (law->name == name) return *law;
    names.push_back(law->name);
  }
  fail_usage("[law] Unknown law. Received {}. The nearest is {}; `rung laws` lists all.", name,
             nearest_name(name, names));
}

int find_coefficient(const Law& law, std::string_view name) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < law.coefficients.size(); ++i) {
    if (law.coefficients[i].name == name) return static_cast<int>(i);
    names.push_back(law.coefficients[i].name);
  }
  fail_usage("[law] {} has no such coefficient. Received {}. The nearest is {}.", law.name, name,
             nearest_name(name, names));
}

double evaluate_law(const Law& law, std::span<const double> c, std::span<const double> values) {
  std::array<double, 2 * max_inputs> inputs{};
  const size_t k = law.inputs.size();
  for (size_t i = 0; i < k; ++i) {
    inputs[i] = values[i];
    inputs[k + i] = std::log(values[i]);
  }
  double loss = 0.0;
  law.evaluate(law, c.data(), inputs.data(), 1, 0, &loss);
  return loss;
}

}  // namespace rung
