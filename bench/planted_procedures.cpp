#include "planted_procedures.h"

#include <cmath>

#include "law/procedure.h"
#include "planted_tables.h"

namespace rung {
namespace {

// What the procedure derives at its last group of a table drawn ten times further along: the new
// measurement of its first quantity.
std::function<double(Random&)> derived(const PlantedProcedure& planted) {
  return [planted](Random& random) {
    const Procedure& procedure = *find_procedure(planted.name);
    const RawRows rows = read_rows(planted.draw(10.0, random), procedure, planted.options);
    const Derivation found = procedure.derive(rows, read_settings(procedure, planted.options));
    if (found.parts.empty()) return std::nan("");
    // One of the points with the inputs of the last group.
    const DerivedPart& part = found.parts.front();
    const auto same = [&](size_t row) {
      for (const std::string_view input : part.law->inputs) {
        const auto mapped = part.columns.find(std::string(input));
        const Column& column =
            *part.points.find(mapped == part.columns.end() ? input : mapped->second);
        if (column.values[row] != column.values.back()) return false;
      }
      return true;
    };
    std::vector<size_t> last;
    for (size_t row = 0; row < part.points.rows; ++row)
      if (same(row)) last.push_back(row);
    return part.points.find(part.law->target)->values[last[random.below(last.size())]];
  };
}

PlantedProcedure isoflop(const std::string& name, const PlantedSurface& surface, double reach,
                         std::string design, std::string note = "") {
  PlantedProcedure planted{.name = name, .options = {.law = name}, .design = std::move(design)};
  planted.truth = surface.optimum();
  planted.note = std::move(note);
  planted.draw = [surface, reach](double shift, Random& random) {
    PlantedRows rows({"N", "D", "C", "L"});
    for (const double budget : {6e18, 3e19, 1.2e20, 5e20, 3e21})
      for (int i = 0; i < 7; ++i) {
        const double c = shift * budget;
        const double n = surface.best_size(c) * std::pow(reach, i / 3.0 - 1.0);
        const double d = c / (6.0 * n);
        rows.push({n, d, c, surface.loss(n, d) * std::exp(0.003 * random.normal())});
      }
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"C", 3e22}});
  planted.measured = derived(planted);
  return planted;
}

PlantedProcedure envelope() {
  const PlantedSurface surface{.A = 406.4, .B = 410.7, .alpha = 0.34, .beta = 0.34};
  PlantedProcedure planted{.name = "envelope", .options = {.law = "envelope"}};
  planted.design = "14 curves of 60 points, noise 0.1 %";
  planted.truth = surface.optimum();
  planted.draw = [surface](double shift, Random& random) {
    PlantedRows rows({"N", "D", "L"});
    for (int i = 0; i < 14; ++i)
      for (int j = 0; j < 60; ++j) {
        const double n = shift * 2e7 * std::pow(1.6, i);
        const double d = n * 0.5 * std::pow(400.0, j / 59.0);
        rows.push({n, d, surface.loss(n, d) * std::exp(0.001 * random.normal())});
      }
    return std::move(rows).table();
  };
  // The record nearest to the target on curves of sizes further along.
  planted.at = fixed_point({{"C", 3e21}});
  planted.measured = [draw = planted.draw](Random& random) {
    const Procedure& procedure = *find_procedure("envelope");
    const FitOptions options{.law = "envelope"};
    const RawRows rows = read_rows(draw(std::sqrt(10.0), random), procedure, options);
    const Derivation found = procedure.derive(rows, read_settings(procedure, options));
    if (found.parts.empty()) return std::nan("");
    const Table& points = found.parts.front().points;
    const std::vector<double>& c = points.find("C")->values;
    size_t nearest = 0;
    for (size_t i = 1; i < c.size(); ++i)
      if (std::fabs(std::log(c[i] / 3e21)) < std::fabs(std::log(c[nearest] / 3e21))) nearest = i;
    return points.find("N_opt")->values[nearest];
  };
  planted.note = "the sizes' spacing and the envelope's ends bias it";
  return planted;
}

PlantedProcedure critical_batch() {
  PlantedProcedure planted{.name = "critical-batch",
                           .options = {.law = "critical-batch", .columns = {{"x", "size"}}}};
  planted.design = "6 sizes, 9 batches, steps known within 2 %";
  planted.truth = {{"k", 90.0}, {"a", 0.5}};
  planted.draw = [](double shift, Random& random) {
    PlantedRows rows({"size", "B", "steps"});
    for (const double base : {500.0, 1e3, 2e3, 4e3, 8e3, 1.6e4})
      for (int i = 0; i < 9; ++i) {
        // As wide above the bend of the largest model as below that of the smallest.
        const double b = 256.0 * std::sqrt(shift) * std::pow(2.5, i), size = shift * base;
        const double scale = 5.0 * (90.0 * std::sqrt(size) - 1.2 * 256.0);
        rows.push({size, b, 1000.0 * (1.0 + scale / b) * std::exp(0.02 * random.normal())});
      }
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"size", 160000.0}});
  planted.measured = derived(planted);
  return planted;
}

PlantedProcedure noise_scale() {
  PlantedProcedure planted{.name = "noise-scale", .options = {.law = "noise-scale"}};
  planted.design = "6 values of x, 6 batches, squared norms known within 5 %";
  planted.truth = {{"k", 2.0}, {"a", 0.4}};
  planted.draw = [](double shift, Random& random) {
    PlantedRows rows({"x", "B", "G2"});
    for (const double base : {1e7, 3e7, 1e8, 3e8, 1e9, 3e9})
      for (double b = 64; b <= 65536; b *= 4)
        rows.push({shift * base, b,
                   0.04 * (1.0 + 2.0 * std::pow(shift * base, 0.4) / b) *
                       std::exp(0.05 * random.normal())});
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"x", 3e10}});
  planted.measured = derived(planted);
  return planted;
}

// Sweeps over a grid of powers of two in lr and bs about optima lr = 2 N^-.5 D^.2, bs = .5 D^.5.
PlantedProcedure step_law(const std::string& name, std::string note) {
  PlantedProcedure planted{.name = name, .options = {.law = name}, .note = std::move(note)};
  planted.design = "12 cells, 8 x 7 grid in powers of two (lr, bs), noise 0.1 %";
  planted.truth = {{"c", 2.0}, {"a", -0.5}, {"b", 0.2}, {"d", 0.5}, {"e", 0.5}};
  planted.draw = [](double shift, Random& random) {
    PlantedRows rows({"N", "D", "lr", "bs", "L"});
    const double two = std::log(2.0);
    for (const double n_base : {1e8, 3e8, 1e9})
      for (const double d_base : {3e9, 1e10, 4e10, 1e11}) {
        const double n = shift * n_base, d = shift * d_base;
        const double best_x = std::log(2.0 * std::pow(n, -0.5) * std::pow(d, 0.2));
        const double best_y = std::log(0.5 * std::pow(d, 0.5));
        for (int i = -3; i <= 4; ++i)
          for (int j = -3; j <= 3; ++j) {
            const double lr = two * (std::floor(best_x / two) + i);
            const double bs = two * (std::floor(best_y / two) + j);
            const double x = lr - best_x, y = bs - best_y;
            rows.push({n, d, std::exp(lr), std::exp(bs),
                       (2.5 + 0.02 * x * x - 0.005 * x * y + 0.01 * y * y) *
                           std::exp(0.001 * random.normal())});
          }
      }
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"N", 1e10}, {"D", 1e12}});
  planted.measured = derived(planted);
  return planted;
}

PlantedProcedure lr_horizon() {
  PlantedProcedure planted{.name = "lr-horizon", .options = {.law = "lr-horizon"}};
  planted.design = "6 horizons, 8 rates a factor 2 apart, noise 0.1 %";
  planted.truth = {{"B", 3.0}, {"beta", 0.32}};
  planted.draw = [](double shift, Random& random) {
    PlantedRows rows({"D", "lr", "L"});
    const double two = std::log(2.0);
    for (const double base : {2.5e10, 5e10, 1e11, 2e11, 4e11, 8e11}) {
      const double d = shift * base, best = std::log(3.0 * std::pow(d, -0.32));
      for (int i = -3; i <= 4; ++i) {
        const double lr = two * (std::floor(best / two) + i), x = lr - best;
        rows.push({d, std::exp(lr), (2.5 + 0.02 * x * x) * std::exp(0.001 * random.normal())});
      }
    }
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"D", 8e12}});
  planted.measured = derived(planted);
  return planted;
}

}  // namespace

std::vector<PlantedProcedure> planted_procedures() {
  const PlantedSurface equal{};
  const PlantedSurface unequal{.A = 480.0, .B = 2100.0, .alpha = 0.35, .beta = 0.45};
  return {isoflop("isoflop", equal, 4.0, "equal exponents, 5 budgets of 7 sizes, noise 0.3 %"),
          isoflop("isoflop", unequal, 10.0, "unequal exponents, wide", "biased: wide grids"),
          isoflop("isoflop-interpolated", equal, 4.0,
                  "equal exponents, 5 budgets of 7 sizes, noise 0.3 %"),
          isoflop("isoflop-interpolated", unequal, 10.0, "unequal exponents, wide",
                  "biased: the interpolant follows the noise"),
          envelope(),
          critical_batch(),
          noise_scale(),
          step_law("step-law", "the grid's powers of two bias it"),
          step_law("step-law-bowl", ""),
          lr_horizon(),
          plant_vocabulary_1(),
          plant_vocabulary_3(),
          plant_observational(),
          plant_downstream(),
          plant_skills(),
          plant_multi_power()};
}

}  // namespace rung
