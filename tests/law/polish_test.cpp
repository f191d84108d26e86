// Polishes that stop early, and rows of equal inputs that are evaluated once.
#include "law/polish.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "law/laws/laws.h"
#include "law/planted.h"
#include "law/solve.h"

using namespace rung;

namespace {

struct Ladder {
  FitOptions options{.law = "chinchilla", .objective = "least-squares"};
  Selection selection = select_rows(planted_table(chinchilla_law, true), options);
  Problem problem = make_problem(selection, options);

  // Starts so near that Newton's steps need no damping, as a polish must have been to settle.
  std::vector<Vector> starts() const {
    const Vector optimum = solve(problem).solution.theta;
    std::vector<Vector> result;
    for (int i = 0; i < problem.size(); ++i)
      for (const double shift : {-0.01, 0.01}) {
        result.push_back(optimum);
        result.back()[i] += shift;
      }
    return result;
  }
};

}  // namespace

TEST_CASE("polish: one that may settle saves steps and ends within its tolerance") {
  const Ladder ladder;
  int saved = 0;
  for (const Vector& start : ladder.starts()) {
    const Solution whole = polish(ladder.problem, start);
    const Solution settled = polish(ladder.problem, start, {.settled_tolerance = 1e-8});
    CHECK(settled.steps <= whole.steps);
    CHECK(settled.converged == whole.converged);
    CHECK(settled.objective <= whole.objective * (1.0 + 1e-8));
    saved += whole.steps - settled.steps;
  }
  CHECK(saved > 0);
}

TEST_CASE("polish: one is abandoned only where its minimum lies above the bar") {
  const Ladder ladder;
  int abandoned = 0;
  for (const Vector& start : ladder.starts()) {
    const Solution whole = polish(ladder.problem, start);
    const Solution reached =
        polish(ladder.problem, start, {.abandon_above = whole.objective * (1.0 + 1e-9)});
    CHECK(reached.objective == whole.objective);
    CHECK(reached.steps == whole.steps);
    const Solution left = polish(ladder.problem, start, {.abandon_above = 0.5 * whole.objective});
    CHECK(left.objective > 0.5 * whole.objective);
    abandoned += left.steps < whole.steps && !left.converged;
  }
  CHECK(abandoned > 0);
}

TEST_CASE("polish: one ends after the step with which its caller has enough") {
  Ladder ladder;
  for (const char* objective : {"least-squares", "mae-asymmetric"}) {
    ladder.problem.objective = find_objective(objective);
    std::vector<Vector> path;
    const auto third = [&](const Vector& theta) {
      path.push_back(theta);
      return path.size() == 3;
    };
    Vector start = solve(ladder.problem).solution.theta;
    start[0] += 0.3;
    const Solution stopped = polish(ladder.problem, start, {.enough = third});
    CHECK(stopped.stopped);
    CHECK(path.size() == 3);
    CHECK(stopped.steps == 3);
    const Solution whole = polish(ladder.problem, start);
    CHECK_FALSE(whole.stopped);
    CHECK(whole.steps > 3);
    CHECK(whole.objective < stopped.objective);
  }
}

TEST_CASE("objective: Huber's penalty joins smoothly and lies below its parabola") {
  const double delta = 0.5;
  for (const double r : {-2.0, -0.5, -0.1, 0.0, 0.3, 0.5, 0.7}) {
    const double a = std::fabs(r);
    const PenaltyJet jet = huber_jet(r, delta);
    CHECK(jet.value == doctest::Approx(a <= delta ? r * r / 2 : delta * (a - delta / 2)));
    CHECK(jet.slope == doctest::Approx(std::clamp(r, -delta, delta)));
    CHECK(jet.curvature == (a <= delta ? 1.0 : 0.0));
    CHECK(jet.majorizer * r == doctest::Approx(jet.slope));
  }
}

TEST_CASE("problem: rows of equal inputs give what they give one by one") {
  const Ladder ladder;
  Observations shuffled{.inputs = 2};
  Random random(4, "shuffled");
  for (int i = 0; i < 200; ++i) {
    const size_t row = random.below(ladder.selection.data.rows());
    shuffled.push(ladder.selection.data.x.data() + 4 * row, 2.0 + random.uniform(),
                  0.5 + random.uniform());
  }
  const Observations sorted = grouped(shuffled);
  REQUIRE(sorted.rows() == 200);
  size_t points = 1;
  for (size_t row = 1; row < 200; ++row)
    points += !std::equal(&sorted.x[4 * row], &sorted.x[4 * row] + 2, &sorted.x[4 * row] - 4);
  CHECK(points <= 30);
  const Vector theta{{1.7, std::log(300.0), std::log(900.0), 0.3, 0.33}};
  for (const char* name : {"huber-log", "raw-least-squares"}) {
    Problem apart = ladder.problem, together = ladder.problem;
    apart.objective = together.objective = find_objective(name);
    apart.data = &shuffled;
    together.data = &sorted;
    CHECK(objective_at(together, theta) ==
          doctest::Approx(objective_at(apart, theta)).epsilon(1e-12));
    const Derivatives one = derivatives_at(apart, theta), all = derivatives_at(together, theta);
    CHECK((all.gradient - one.gradient).norm() <= 1e-11 * one.gradient.norm());
    CHECK((all.hessian - one.hessian).norm() <= 1e-11 * one.hessian.norm());
    CHECK((all.majorizer - one.majorizer).norm() <= 1e-11 * one.majorizer.norm());
  }
}
