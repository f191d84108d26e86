#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

// Students and tokens of the source's sweep, teachers of several losses, and what the student
// would reach alone.
Rows sweep() {
  Rows rows;
  for (const double N : geometric(1.4e8, 7.75e9, 5))
    for (const double D : geometric(4e9, 5e11, 4)) {
      const double alone =
          evaluate_law(chinchilla_gamma_law, typical_of(chinchilla_gamma_law), std::vector{N, D});
      for (const double teacher : {1.9, 2.05, 2.2, 2.4, 2.7, 3.1})
        rows.push_back({N, D, teacher, alone});
    }
  return rows;
}

}  // namespace

TEST_CASE("distillation: derivatives match finite differences") {
  const auto c = typical_of(distillation_law);
  check_derivatives(distillation_law, c, {1e9, 2e10, 2.2, 2.37});
  check_derivatives(distillation_law, c, {1e9, 2e10, 3.0, 2.1});
  check_derivatives(chinchilla_gamma_law, typical_of(chinchilla_gamma_law), {1e9, 2e10});
}

TEST_CASE("distillation: the limits that the source states") {
  const auto c = typical_of(distillation_law);
  // Endless student and data: the student becomes its teacher.
  CHECK(evaluate_law(distillation_law, c, std::vector{1e25, 1e25, 2.2, 2.2}) ==
        doctest::Approx(2.2).epsilon(1e-4));
  // The capacity gap: for a weak student a stronger teacher is at some point worse.
  const double alone =
      evaluate_law(chinchilla_gamma_law, typical_of(chinchilla_gamma_law), std::vector{2e8, 2e10});
  const auto student = [&](double teacher) {
    return evaluate_law(distillation_law, c, std::vector{2e8, 2e10, teacher, alone});
  };
  double best = 1e300, best_teacher = 0.0;
  for (double teacher = 1.6; teacher < 3.5; teacher += 0.01)
    if (student(teacher) < best) best = student(teacher), best_teacher = teacher;
  CHECK(best_teacher > 1.7);
  CHECK(best_teacher < alone);
}

TEST_CASE("chinchilla-gamma: recovers planted coefficients") {
  const auto truth = typical_of(chinchilla_gamma_law);
  const Rows rows = product({geometric(1.4e8, 1.26e10, 6), geometric(2e9, 5e11, 6)});
  const Table table = planted(chinchilla_gamma_law, truth, rows);
  const Fit fit = fit_law(table, {.law = "chinchilla-gamma", .bootstrap = 0, .refuse = false});
  for (const size_t i : {0, 3, 4, 5}) {
    CAPTURE(fit.coefficients[i].name);
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(1e-2));
  }
  const Fit plain = fit_law(table, {.law = "chinchilla", .bootstrap = 0});
  CHECK(fit.objective_value < 1e-3 * plain.objective_value);
}

TEST_SUITE_BEGIN("slow");
TEST_CASE("distillation: recovers planted coefficients, and predicts unseen students") {
  const auto truth = typical_of(distillation_law);
  const Table exact = planted(distillation_law, truth, sweep());
  const Fit fit = fit_law(exact, {.law = "distillation", .bootstrap = 0, .refuse = false});
  CHECK(fit.residual_rms < 1e-6);
  for (size_t i = 0; i < truth.size(); ++i) {
    CAPTURE(fit.coefficients[i].name);
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(1e-2));
  }
  // With noise several coefficients stay open, yet the optimum lies below the planted truth's
  // objective and predicts another student and teacher.
  const Table noisy = planted(distillation_law, truth, sweep(), 0.003, 9);
  const Fit found = fit_law(noisy, {.law = "distillation", .bootstrap = 0, .refuse = false});
  double of_truth = 0.0;
  for (size_t row = 0; row < noisy.rows; ++row) {
    std::vector<double> at;
    for (size_t i = 0; i < 4; ++i) at.push_back(noisy.columns[i].values[row]);
    const double predicted = evaluate_law(distillation_law, truth, at);
    of_truth += 0.5 * std::pow(std::log(noisy.columns[4].values[row] / predicted), 2);
  }
  CHECK(found.objective_value < of_truth);
  const double alone =
      evaluate_law(chinchilla_gamma_law, typical_of(chinchilla_gamma_law), std::vector{1e9, 5e10});
  const std::vector<double> unseen = {1e9, 5e10, 2.3, alone};
  CHECK(evaluate_law(distillation_law, found.values(), unseen) ==
        doctest::Approx(evaluate_law(distillation_law, truth, unseen)).epsilon(5e-3));
}
TEST_SUITE_END();

TEST_CASE("distillation: one teacher does not determine it") {
  Rows rows;
  for (const auto& row : sweep())
    if (row[2] == 2.2) rows.push_back(row);
  const Table table = planted(distillation_law, typical_of(distillation_law), rows, 0.003, 9);
  CHECK(fit_law(table, {.law = "distillation", .bootstrap = 0}).refused());
}
