#include "law/procedures/vocabulary.h"

#include <doctest/doctest.h>

#include "law/law_data.h"
#include "law/predict.h"
#include "law/procedure.h"
#include "law/procedures/planted.h"
#include "law/regression.h"

using namespace rung;

namespace {

std::string vocabulary_file(const char* name) {
  const std::string path = shared_law_data(std::string("vocab/") + name);
  if (path.empty()) MESSAGE("skipped: no vocab in RUNG_LAW_DATA or ../shared/data/laws");
  return path;
}

const std::vector<double> truth = {5.5, 900.0, 2000.0, 22000.0, 0.65, 0.45};

// Losses of L_u = -E + A1/Nnv^beta + A2/Nv^alpha + B/D^beta with V in entries.
Table planted_losses(double noise, uint64_t seed, const std::vector<double>& c = truth) {
  std::vector<double> body, vocabulary, width, characters, loss;
  Random random(seed, "vocabulary");
  const Law& law = *find_procedure_law("vocabulary-3.L_u");
  for (const double n : {3.3e7, 8.5e7, 1.5e8, 3.0e8, 6.3e8, 1.1e9})
    for (double v = 4096; v < 1e5; v *= 2)
      for (int t = 1; t <= 12; ++t) {
        const double h = n * 10 * t;
        body.push_back(n);
        vocabulary.push_back(v);
        width.push_back(width_of(n));
        characters.push_back(h);
        loss.push_back(
            evaluate_law(law, c, std::vector{n, v * width.back(), h * Compression{}(v)}) +
            noise * random.normal());
      }
  Table table;
  table.add("Nnv", body);
  table.add("V", vocabulary);
  table.add("d", width);
  table.add("H", characters);
  table.add("L_u", loss);
  return table;
}

}  // namespace

TEST_CASE("vocabulary-1: the goldens of the 126 selected points") {
  const std::string path = vocabulary_file("approach1_selected_points_derived.csv");
  if (path.empty()) return;
  const Table table = read_table(path);
  const auto fit = [&](const char* law, const char* target, const char* column) {
    return fit_law(table,
                   {.law = law, .columns = {{"F", "flops"}, {target, column}}, .bootstrap = 0});
  };
  const Fit body = fit("vocabulary-1.Nnv", "Nnv", "Nnv_opt");
  CHECK(body.points == 126);
  CHECK(body.objective_value <= 0.030686022 * (1 + 1e-6));
  CHECK(std::log(estimate(body, "k_Nnv").value) == doctest::Approx(-2.484651).epsilon(1e-4));
  const Fit vocabulary = fit("vocabulary-1.Nv", "Nv", "Nv_opt");
  CHECK(vocabulary.objective_value <= 0.0406453 * (1 + 1e-6));
  CHECK(std::log(estimate(vocabulary, "k_Nv").value) == doctest::Approx(-2.41752).epsilon(1e-3));
  CHECK(estimate(vocabulary, "alpha").value == doctest::Approx(0.43572).epsilon(1e-3));
  const Fit characters = fit("vocabulary-1.H", "H", "H_opt");
  CHECK(characters.objective_value <= 0.03215935 * (1 + 1e-6));
}

TEST_CASE("vocabulary-1: derives its points from checkpoints") {
  // Cheapest at 10 tokens per parameter, in the middle of every curve.
  std::vector<double> balanced = truth;
  balanced[3] = truth[1] * std::pow(10.0, truth[5]);
  const Fit fit =
      fit_law(planted_losses(0.0, 1, balanced), {.law = "vocabulary-1", .bootstrap = 40});
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.derivation["curves"] == 30);
  CHECK(estimate(fit, "alpha").value > 0.2);
  CHECK(estimate(fit, "alpha").value < 0.6);
  CHECK(estimate(fit, "alpha").se > 0.0);
  // The optimum of the planted law at one budget, by search.
  const double flops = 1e19;
  double best = unbounded, best_body = 0.0;
  const Law& law = *find_procedure_law("vocabulary-3.L_u");
  for (double n = 2e7; n < 1e10; n *= 1.05)
    for (double v = 4096; v < 1e5; v *= 2) {
      const double nv = v * width_of(n), d = flops / (6 * (n + nv));
      const double loss = evaluate_law(law, balanced, std::vector{n, nv, d});
      if (loss < best) best = loss, best_body = n;
    }
  CHECK(std::fabs(std::log(predict_loss(fit.parts[0], {{"F", flops}}) / best_body)) < 0.7);
}

TEST_CASE("vocabulary-2: the golden exponent and vocabularies") {
  Table table;
  table.add("Nnv", {33e6, 85e6, 151e6, 302e6, 631e6, 1130e6, 2870e6});
  FitOptions options{.law = "vocabulary-2", .bootstrap = 50};
  options.settings["base"] = 3'145'728;
  const Fit fit = fit_law(table, options);
  REQUIRE_FALSE(fit.refused());
  CHECK(estimate(fit, "gamma").value == doctest::Approx(0.8353974).epsilon(1e-6));
  const double published[][2] = {
      {3e9, 42538}, {7e9, 67450}, {13e9, 90503}, {7e10, 230861}, {3e11, 389324}};
  for (const auto& [body, vocabulary] : published)
    CHECK(predict(fit, {{"Nnv", body}}).loss / width_of(body) ==
          doctest::Approx(vocabulary).epsilon(1e-4));
  table.columns[0].values.resize(2);
  table.rows = 2;
  CHECK(find_diagnostic(fit_law(table, options), "too-few-bodies"));
}

TEST_CASE("vocabulary-3: the golden, with the thousands of the authors' script") {
  const std::string path = vocabulary_file("exp_data.csv");
  if (path.empty()) return;
  const Table data = read_table(path);
  const auto column = [&](const char* name) { return data.find(name)->values; };
  std::vector<double> body, vocabulary, tokens, loss;
  for (size_t i = 0; i < data.rows; ++i) {
    if (column("FLOPs")[i] < 2.18e17) continue;
    body.push_back(column("Non_vocab_parameters")[i]);
    vocabulary.push_back(column("vocab_size")[i] * column("embed_dim")[i]);
    tokens.push_back(column("num_characters")[i] * Compression{}(column("vocab_size")[i] / 1000));
    loss.push_back(column("Lossu")[i]);
  }
  Table table;
  table.add("Nnv", body);
  table.add("Nv", vocabulary);
  table.add("D", tokens);
  table.add("L_u", loss);
  const Fit fit = fit_law(table, {.law = "vocabulary-3.L_u", .bootstrap = 0});
  MESSAGE("vocabulary approach 3: " << fit.seconds << " s");
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.points == 1054);
  CHECK(fit.objective_value <= 0.06229135 * (1 + 1e-6));
  CHECK(estimate(fit, "alpha").value == doctest::Approx(0.6637).epsilon(2e-3));
  CHECK(estimate(fit, "beta").value == doctest::Approx(0.4453).epsilon(2e-3));
}

TEST_CASE("vocabulary: the best vocabularies of approaches 1 and 3, with the published constants") {
  const Law& size = *find_procedure_law("vocabulary-1.Nv");
  const Law& loss = *find_procedure_law("vocabulary-3.L_u");
  // Of millions of parameters and billions of tokens, as published, to ones.
  const std::vector<double> c = {5.5328,
                                 1.8314 * std::pow(1e6, 0.4466),
                                 0.1958 * std::pow(1e6, 0.6707),
                                 2.1241 * std::pow(1e9, 0.4466),
                                 0.6707,
                                 0.4466};
  const double published[][3] = {{3e9, 39367, 36648},
                                 {7e9, 62280, 59547},
                                 {13e9, 83429, 81347},
                                 {7e10, 211860, 217961},
                                 {3e11, 355894, 383659}};
  for (const auto& [body, first, third] : published) {
    CAPTURE(body);
    const double flops = std::pow(body / std::exp(-2.484651), 2), width = width_of(body);
    CHECK(evaluate_law(size, std::vector{std::exp(-1.589031), 0.416362}, std::vector{flops}) /
              width ==
          doctest::Approx(first).epsilon(1e-4));
    const auto at = [&](double log_v) {
      const double parameters = std::exp(log_v) * width;
      return evaluate_law(loss, c,
                          std::vector{body, parameters, flops / (6.0 * (body + parameters))});
    };
    CHECK(std::exp(minimise(at, std::log(4096.0), std::log(3e6))) ==
          doctest::Approx(third).epsilon(2e-4));
  }
}

TEST_CASE("vocabulary-3: recovers the planted law from entries and characters") {
  const Fit exact = fit_law(planted_losses(0.0, 1), {.law = "vocabulary-3", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(exact.values()[i] == doctest::Approx(truth[i]).epsilon(1e-3));
  const Fit noisy = fit_law(planted_losses(0.01, 2), {.law = "vocabulary-3", .bootstrap = 60});
  CHECK(noisy.noise_growth.slopes.empty());  // its points are the rows: no resample moves them
  REQUIRE_FALSE(noisy.refused());
  for (const char* name : {"alpha", "beta"}) {
    const Estimate& e = estimate(noisy, name);
    const double planted = truth[e.name == "alpha" ? 4 : 5];
    CHECK(std::fabs(e.value - planted) < 4 * e.se);
  }
}

TEST_CASE("vocabulary-3: thousands and a wrong FLOP column are refused") {
  Table table = planted_losses(0.0, 1);
  std::vector<double> flops;
  for (size_t i = 0; i < table.rows; ++i) {
    const double n = table.columns[0].values[i], v = table.columns[1].values[i];
    flops.push_back(6 * (n + v * table.columns[2].values[i]) * table.columns[3].values[i] *
                    Compression{}(v));
  }
  table.add("F", flops);
  CHECK_FALSE(fit_law(table, {.law = "vocabulary-3", .bootstrap = 0}).refused());
  for (double& h : table.columns[3].values) h /= 1e9;
  CHECK(find_diagnostic(fit_law(table, {.law = "vocabulary-3", .bootstrap = 0}), "units"));
  Table thousands = planted_losses(0.0, 1);
  for (double& v : thousands.columns[1].values) v /= 1000;
  const Fit fit = fit_law(thousands, {.law = "vocabulary-3", .bootstrap = 0});
  CHECK(fit.refused());
  CHECK(find_diagnostic(fit, "units")->text.find("thousands") != std::string::npos);
}
