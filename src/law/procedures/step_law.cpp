// Step law: the optimal learning rate lr = c N^a D^b and batch bs = d D^e (in tokens) from sweeps
// of both in cells of (N, D).
// `step-law` takes the runs within 0.25 % of each cell's lowest loss, ordinary least squares in
// logarithms. Source: Li et al. 2025, "Predictable Scale: Part I - Step Law - Optimal
// Hyperparameter Scaling Law in Large Language Model Pretraining", equation 1.
// `step-law-bowl` takes the minimum of a paraboloid in (ln lr, ln bs) through each cell's best
// runs instead: one point a cell, unbiased by where the sweep's grid lies.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "law/procedures/aliases.h"
#include "law/procedures/bowl.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view step_law_source = "Li et al. 2025, equation 1";
constexpr std::string_view rate_inputs[] = {"N", "D"};
constexpr std::string_view batch_inputs[] = {"D"};
constexpr InputRange rate_design[] = {{2e8, 1.1e9}, {4e9, 1e11}};
constexpr InputRange batch_design[] = {{4e9, 1e11}};
constexpr Coefficient rate_coefficients[] = {
    factor_coefficient("c", "learning rate at N = D = 1", 1.797),
    exponent_coefficient("a", "exponent of size in the rate", -0.7129, 17),
    exponent_coefficient("b", "exponent of tokens in the rate", 0.3075, 17),
};
constexpr Coefficient batch_coefficients[] = {
    factor_coefficient("d", "batch at one token", 0.5807),
    exponent_coefficient("e", "exponent of tokens in the batch", 0.5709),
};

constexpr Law rate_law_named(std::string_view name) {
  return {.name = name,
          .formula = "lr = c N^a D^b",
          .source = step_law_source,
          .identifiable = "N and D vary independently, each over about a decade",
          .inputs = rate_inputs,
          .coefficients = rate_coefficients,
          .evaluate = evaluate_formula<Monomial<2>>,
          .target = "lr",
          .objective = "least-squares",
          .design = rate_design,
          .noise = 0.2};
}

constexpr Law batch_law_named(std::string_view name) {
  return {.name = name,
          .formula = "bs = d D^e",
          .source = step_law_source,
          .identifiable = "D varies over about a decade",
          .inputs = batch_inputs,
          .coefficients = batch_coefficients,
          .evaluate = evaluate_formula<Monomial<1>>,
          .target = "bs",
          .objective = "least-squares",
          .design = batch_design,
          .noise = 0.2};
}

constinit const Law rate_law = rate_law_named("step-law.lr");
constinit const Law batch_law = batch_law_named("step-law.bs");
constinit const Law bowl_rate_law = rate_law_named("step-law-bowl.lr");
constinit const Law bowl_batch_law = batch_law_named("step-law-bowl.bs");
constexpr const Law* step_laws[] = {&rate_law, &batch_law};
constexpr const Law* bowl_laws[] = {&bowl_rate_law, &bowl_batch_law};

constexpr std::string_view bs_aliases[] = {"batch_tokens", "batch_size", "batch"};
constexpr RawColumn sweep_columns[] = {{"N"},
                                       {"D"},
                                       {.name = "lr", .aliases = lr_aliases},
                                       {.name = "bs", .aliases = bs_aliases},
                                       {"L"}};
constexpr ProcedureSetting step_settings[] = {
    {"within", "of a cell's lowest loss, relative", 0.0025},
    {"sequence", "tokens in one unit of the column bs", 1},
};
constexpr ProcedureSetting bowl_settings[] = {
    {"within", "of a cell's lowest loss, relative; more where that leaves too few runs", 0.01},
    {"points", "runs that a bowl needs", 9},
    {"sequence", "tokens in one unit of the column bs", 1},
};

// Rows of each (N, D), D varying fastest.
std::vector<std::vector<size_t>> cells_of(const RawRows& rows) {
  std::vector<std::vector<size_t>> cells;
  for (const auto& sizes : group_values(rows["N"], 1e-6))
    for (const auto& group : group_values(pick(rows["D"], sizes), 1e-6)) {
      cells.emplace_back();
      for (const size_t at : group) cells.back().push_back(sizes[at]);
    }
  return cells;
}

struct SweepPoint {
  double size, tokens, rate, batch;
};

void add_step_law_parts(const std::vector<SweepPoint>& points, std::span<const Law* const> laws,
                        Derivation& derivation) {
  const auto column = [&](auto member) {
    std::vector<double> values;
    for (const SweepPoint& point : points) values.push_back(point.*member);
    return values;
  };
  DerivedPart rate{.law = laws[0]}, batch{.law = laws[1]};
  rate.points.source = batch.points.source = "near-optimal runs";
  rate.points.add("N", column(&SweepPoint::size));
  rate.points.add("D", column(&SweepPoint::tokens));
  rate.points.add("lr", column(&SweepPoint::rate));
  batch.points.add("D", column(&SweepPoint::tokens));
  batch.points.add("bs", column(&SweepPoint::batch));
  derivation.parts.push_back(std::move(rate));
  derivation.parts.push_back(std::move(batch));
}

void refuse_few(size_t cells, Derivation& derivation) {
  if (cells < 4)
    derivation.diagnostics.push_back(
        {"too-few-cells", Severity::refusal,
         fmt::format(
             "{} cells of (N, D) have an optimum; lr = c N^a D^b needs 4. Sweep more cells.",
             cells)});
}

// The best runs of a cell: those within the margin, or as many as a bowl needs.
std::vector<size_t> best_runs(const RawRows& rows, std::vector<size_t> cell, double within,
                              size_t points) {
  std::stable_sort(cell.begin(), cell.end(),
                   [&](size_t a, size_t b) { return rows["L"][a] < rows["L"][b]; });
  size_t count = 0;
  while (count < cell.size() &&
         (count < points || rows["L"][cell[count]] <= (1.0 + within) * rows["L"][cell[0]]))
    ++count;
  cell.resize(count);
  return cell;
}

// The noise of a cell's best runs about their bowl, for drawing them anew; the other runs stay.
void add_noise(const RawRows& rows, const std::vector<size_t>& cell, Derivation& derivation,
               double& squares) {
  constexpr double near = 0.01;
  constexpr size_t least = 9;
  const std::vector<size_t> members = best_runs(rows, cell, near, least);
  const Bowl bowl = fit_bowl(rows, members);
  for (size_t i = 0; i < bowl.fitted.size(); ++i) {
    derivation.fitted[members[i]] = bowl.fitted[i];
    squares += std::pow(std::log(rows["L"][members[i]] / bowl.fitted[i]), 2);
  }
  derivation.freedom += bowl.freedom;
}

// Batches that no sweep in tokens has: their column counts sequences.
void check_batch_unit(const RawRows& rows, double sequence, Derivation& derivation) {
  constexpr double most_sequences = 4096.0;
  if (rows["bs"].empty()) return;
  const double most = sequence * *std::max_element(rows["bs"].begin(), rows["bs"].end());
  if (most <= most_sequences)
    derivation.diagnostics.push_back(
        {"units", Severity::warning,
         fmt::format("bs is at most {:.4g}, and the law's batch counts tokens. Where the column "
                     "counts sequences, give --setting sequence=TOKENS, the length of one.",
                     most)});
}

// Cells whose best run has the least or the largest of its cell's rates (or batches): the optimum
// may lie beyond, and the law through these runs follows the sweep instead.
void warn_edges(const RawRows& rows, const std::vector<std::vector<size_t>>& cells,
                Derivation& derivation) {
  std::vector<std::string> edges;
  for (const auto& [column, what] :
       {std::pair("lr", "learning rates"), std::pair("bs", "batches")}) {
    const std::vector<double>& values = rows[column];
    const auto at_edge = std::count_if(cells.begin(), cells.end(), [&](const auto& cell) {
      const size_t best = *std::min_element(cell.begin(), cell.end(), [&](size_t a, size_t b) {
        return rows["L"][a] < rows["L"][b];
      });
      const std::vector<double> swept = pick(values, cell);
      const auto [least, most] = std::minmax_element(swept.begin(), swept.end());
      return values[best] == *least || values[best] == *most;
    });
    if (at_edge > 0)
      edges.push_back(
          fmt::format("at the end of their {} in {} of {}", what, at_edge, cells.size()));
  }
  if (!edges.empty())
    derivation.diagnostics.push_back(
        {"sweep-edge", Severity::warning,
         fmt::format("Cells whose lowest loss lies {}: the optimum may lie beyond. Extend these "
                     "sweeps, or leave the cells out.",
                     fmt::join(edges, ", "))});
}

Derivation derive_near_optimal(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  derivation.group.assign(rows.rows.size(), -1);
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  double squares = 0.0;
  const double within = 1.0 + settings.at("within"), sequence = settings.at("sequence");
  std::vector<SweepPoint> points;
  const auto cells = cells_of(rows);
  for (size_t g = 0; g < cells.size(); ++g) {
    double least = unbounded;
    for (const size_t at : cells[g]) least = std::min(least, rows["L"][at]);
    add_noise(rows, cells[g], derivation, squares);
    for (const size_t at : cells[g]) {
      derivation.group[at] = static_cast<int>(g);
      if (rows["L"][at] <= within * least)
        points.push_back({rows["N"][at], rows["D"][at], rows["lr"][at], sequence * rows["bs"][at]});
    }
  }
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  // Without bowls there is no noise to draw: rows of each cell are drawn instead.
  if (derivation.freedom < 1.0) derivation.redraw = Redraw::rows;
  derivation.record["cells"] = cells.size();
  derivation.record["points"] = points.size();
  refuse_few(cells.size(), derivation);
  warn_edges(rows, cells, derivation);
  check_batch_unit(rows, sequence, derivation);
  if (cells.size() >= 4) add_step_law_parts(points, step_laws, derivation);
  return derivation;
}

Derivation derive_bowl(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  derivation.group.assign(rows.rows.size(), -1);
  derivation.record["cells"] = Json::array();
  std::vector<SweepPoint> points;
  double squares = 0.0;
  size_t dropped = 0;
  const auto cells = cells_of(rows);
  for (size_t g = 0; g < cells.size(); ++g) {
    const std::vector<size_t> members = best_runs(rows, cells[g], settings.at("within"),
                                                  static_cast<size_t>(settings.at("points")));
    const double size = rows["N"][members[0]], tokens = rows["D"][members[0]];
    const Bowl bowl = fit_bowl(rows, members);
    derivation.record["cells"].push_back(
        {{"N", size},
         {"D", tokens},
         {"runs", members.size()},
         {"status", bowl.problem.empty() ? "used" : std::string(bowl.problem)},
         {"lr", json_number(bowl.problem.empty() ? std::exp(bowl.log_rate) : std::nan(""))},
         {"bs", json_number(bowl.problem.empty() ? std::exp(bowl.log_batch) : std::nan(""))}});
    if (!bowl.problem.empty()) {
      ++dropped;
      continue;
    }
    points.push_back({size, tokens, std::exp(bowl.log_rate),
                      settings.at("sequence") * std::exp(bowl.log_batch)});
    for (size_t i = 0; i < members.size(); ++i) {
      derivation.fitted[members[i]] = bowl.fitted[i];
      derivation.group[members[i]] = static_cast<int>(g);
      squares += std::pow(std::log(rows["L"][members[i]] / bowl.fitted[i]), 2);
    }
    derivation.freedom += bowl.freedom;
  }
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  if (dropped > 0)
    derivation.diagnostics.push_back(
        {"dropped-cell", Severity::warning,
         fmt::format("{} of {} cells have no minimum inside their sweep and were left out.",
                     dropped, cells.size())});
  refuse_few(points.size(), derivation);
  check_batch_unit(rows, settings.at("sequence"), derivation);
  if (points.size() >= 4) add_step_law_parts(points, bowl_laws, derivation);
  return derivation;
}

}  // namespace

constinit const Procedure step_law_procedure = {
    .name = "step-law",
    .formula = "lr = c N^a D^b, bs = d D^e through near-optimal runs",
    .source = step_law_source,
    .identifiable = "4 or more cells of (N, D), N and D varied independently",
    .columns = sweep_columns,
    .measured = "L",
    .laws = step_laws,
    .settings = step_settings,
    .derive = derive_near_optimal,
};

constinit const Procedure step_law_bowl_procedure = {
    .name = "step-law-bowl",
    .formula = "lr = c N^a D^b, bs = d D^e through minima of paraboloids",
    .source = step_law_source,
    .identifiable = "4 or more cells of (N, D), each swept on both sides of its optimum",
    .columns = sweep_columns,
    .measured = "L",
    .laws = bowl_laws,
    .settings = bowl_settings,
    .derive = derive_bowl,
};

}  // namespace rung
