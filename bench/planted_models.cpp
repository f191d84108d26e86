#include "law/laws/laws.h"
#include "law/procedure.h"
#include "law/procedures/vocabulary.h"
#include "law/schedule.h"
#include "law/select.h"
#include "planted_tables.h"

namespace rung {
namespace {

// What the law gives at every row of a table of curves.
std::vector<double> curve_values(const Table& table, const FitOptions& options,
                                 const std::vector<double>& c) {
  const Selection selection = select_rows(table, options);
  Vector at(c.size());
  for (size_t i = 0; i < c.size(); ++i) at[i] = c[i];
  return predict_rows(*selection.law, at, selection.data);
}

}  // namespace

// Losses about exact optima Nnv = .08 F^.5 and Nv = .09 F^.43 of the budget F.
PlantedProcedure plant_vocabulary_1() {
  PlantedProcedure planted{.name = "vocabulary-1", .options = {.law = "vocabulary-1"}};
  planted.design = "6 bodies, 10 vocabularies, 20 checkpoints, noise 0.1 %";
  planted.truth = {{"k_Nnv", 0.08}, {"k_Nv", 0.09}, {"alpha", 0.43}};
  planted.draw = [](double shift, Random& random) {
    PlantedRows rows({"Nnv", "V", "d", "H", "L_u"});
    for (const double base : {3.3e7, 8.5e7, 1.5e8, 3.0e8, 6.3e8, 1.1e9})
      for (int v = 0; v < 10; ++v)
        for (int t = 1; t <= 20; ++t) {
          const double n = shift * base, entries = std::floor(4096.0 * std::pow(23.5, v / 9.0));
          const double d = width_of(n), h = n * 12.0 * t, nv = entries * d;
          const double flops = 6.0 * (n + nv) * h * Compression{}(entries);
          const double x = std::log(n / (0.08 * std::sqrt(flops)));
          const double y = std::log(nv / (0.09 * std::pow(flops, 0.43)));
          const double loss = -5.5 + 40.0 * std::pow(flops, -0.06) + 0.05 * x * x + 0.02 * y * y;
          rows.push({n, entries, d, h, loss * std::exp(0.001 * random.normal())});
        }
    return std::move(rows).table();
  };
  planted.note = "records lie where the grid of bodies and vocabularies lets them";
  return planted;
}

PlantedProcedure plant_vocabulary_3() {
  PlantedProcedure planted{.name = "vocabulary-3", .options = {.law = "vocabulary-3"}};
  planted.design = "30 curves of 12 checkpoints, noise 0.005 a row";
  planted.truth = {{"E", 5.5},     {"A1", 900.0},   {"A2", 2000.0},
                   {"B", 22000.0}, {"alpha", 0.65}, {"beta", 0.45}};
  const std::vector<double> c = {5.5, 900.0, 2000.0, 22000.0, 0.65, 0.45};
  planted.draw = [c](double, Random& random) {
    PlantedRows rows({"Nnv", "V", "d", "H", "L_u"});
    const Law& law = *find_procedure_law("vocabulary-3.L_u");
    for (const double n : {3.3e7, 8.5e7, 1.5e8, 3.0e8, 6.3e8, 1.1e9})
      for (double v = 4096; v < 1e5; v *= 2)
        for (int t = 1; t <= 12; ++t) {
          const double d = width_of(n), h = n * 10.0 * t;
          rows.push({n, v, d, h,
                     evaluate_law(law, c, std::vector{n, v * d, h * Compression{}(v)}) +
                         0.005 * random.normal()});
        }
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"Nnv", 1.1e10}, {"V", 65536.0}, {"d", 4096.0}, {"H", 1.3e12}});
  planted.measured = [c](Random& random) {
    const Law& law = *find_procedure_law("vocabulary-3.L_u");
    return evaluate_law(law, c,
                        std::vector{1.1e10, 65536.0 * 4096.0, 1.3e12 * Compression{}(65536.0)}) +
           0.005 * random.normal();
  };
  return planted;
}

PlantedProcedure plant_downstream() {
  const PlantedSurface surface{.A = 480.0, .B = 2100.0, .alpha = 0.35, .beta = 0.37};
  PlantedProcedure planted{.name = "downstream", .options = {.law = "downstream"}};
  planted.design = "6 x 5 runs, accuracy known within 0.01, loss within 0.2 %";
  planted.truth = {{"E", 1.8}, {"A", 480.0}, {"B", 2100.0}, {"alpha", 0.35}, {"beta", 0.37},
                   {"a", 0.7}, {"b", 0.25},  {"k", 5.0},    {"L0", 2.6}};
  const auto accuracy = [](double loss) { return 0.25 + 0.7 * sigmoid(-5.0 * (loss - 2.6)); };
  planted.draw = [surface, accuracy](double, Random& random) {
    PlantedRows rows({"N", "D", "L", "accuracy"});
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 5; ++j) {
        const double n = 3e7 * std::pow(3.0, i), d = 1e9 * std::pow(4.0, j);
        const double loss = surface.loss(n, d);
        rows.push({n, d, loss * std::exp(0.002 * random.normal()),
                   accuracy(loss) + 0.01 * random.normal()});
      }
    return std::move(rows).table();
  };
  planted.at = fixed_point({{"N", 7.29e10}, {"D", 2.56e12}});
  planted.measured = [surface, accuracy](Random& random) {
    return accuracy(surface.loss(7.29e10, 2.56e12)) + 0.01 * random.normal();
  };
  return planted;
}

// Models of three independent abilities, six benchmarks and a task; components have no names of
// their own, so only predictions can be checked.
PlantedProcedure plant_observational() {
  PlantedProcedure planted{.name = "observational", .options = {.law = "observational"}};
  planted.design = "40 models, 6 benchmarks, noise 0.1 in the logit";
  struct Model {
    double scores[6], logit;
  };
  const auto model = [](const double(&ability)[3]) {
    constexpr double mix[6][3] = {{0.3, 0.1, 0.0},   {0.25, -0.1, 0.05}, {0.2, 0.0, -0.1},
                                  {0.3, 0.05, 0.05}, {0.2, 0.1, 0.1},    {0.15, -0.05, 0.1}};
    Model result{.logit = -0.4 + 1.5 * ability[0] - 0.5 * ability[1] + 0.3 * ability[2]};
    for (int b = 0; b < 6; ++b)
      result.scores[b] =
          0.5 + mix[b][0] * ability[0] + mix[b][1] * ability[1] + mix[b][2] * ability[2];
    return result;
  };
  planted.draw = [model](double, Random& random) {
    PlantedRows rows({"b0", "b1", "b2", "b3", "b4", "b5", "accuracy"});
    for (int i = 0; i < 40; ++i) {
      const Model m = model({0.5 * random.normal(), 0.5 * random.normal(), 0.5 * random.normal()});
      rows.push({m.scores[0], m.scores[1], m.scores[2], m.scores[3], m.scores[4], m.scores[5],
                 sigmoid(m.logit + 0.1 * random.normal())});
    }
    return std::move(rows).table();
  };
  // A model two deviations beyond the average one.
  planted.at = [model](const Fit&) {
    Point point;
    const Model m = model({1.0, 0.3, -0.3});
    for (int b = 0; b < 6; ++b) point["b" + std::to_string(b)] = m.scores[b];
    return point;
  };
  planted.measured = [model](Random& random) {
    return sigmoid(model({1.0, 0.3, -0.3}).logit + 0.1 * random.normal());
  };
  return planted;
}

PlantedProcedure plant_skills() {
  PlantedProcedure planted{.name = "skills", .options = {.law = "skills"}};
  planted.design = "8 families of five models, noise 0.1 in the logit";
  planted.truth = {{"w_N", 0.35}, {"w_D", 0.25}};
  const auto skill = [](int family, double n, double d) {
    return -1.0 + 0.2 * family + 0.35 * std::log(n / 3e9) + 0.25 * std::log(d / 2e12);
  };
  planted.draw = [skill](double, Random& random) {
    PlantedRows rows({"N", "D", "accuracy", "family"});
    for (int f = 0; f < 8; ++f)
      for (int i = 0; i < 5; ++i) {
        const double n = 3e8 * std::pow(3.0, i) * (1 + 0.1 * f);
        const double d = 1e12 * std::pow(1.5, (i * 3 + f) % 5);
        rows.push({n, d, sigmoid(skill(f, n, d) + 0.1 * random.normal()), 10.0 + f});
      }
    return std::move(rows).table();
  };
  // A model of the first family ten times larger than its largest.
  planted.at = [](const Fit& fit) {
    return Point{{"N", 2.4e11},
                 {"D", 5e12},
                 {"level", fit.derivation.at("families")[0].at("level").get<double>()}};
  };
  planted.measured = [skill](Random& random) {
    return sigmoid(skill(0, 2.4e11, 5e12) + 0.1 * random.normal());
  };
  return planted;
}

// Six curves with the published coefficients of the 25M model.
PlantedProcedure plant_multi_power() {
  PlantedProcedure planted{.name = "multi-power", .options = {.law = "multi-power"}};
  planted.design =
      "6 curves (constant, cosine, three drops at once, decay at the end), noise 0.05 %";
  const std::vector<double> c = {3.04045406, .52468604, .50786857, 363.78751622,
                                 2.06560812, .58279013, .64142257};
  const char* names[] = {"L0", "A", "alpha", "B", "C", "beta", "gamma"};
  for (size_t i = 0; i < c.size(); ++i) planted.truth[names[i]] = c[i];
  planted.options.schedules = std::make_shared<const Table>(
      parse_table("run,step,lr,shape\n"
                  "1,0,0,linear\n1,2159,3e-4,hold\n1,24000,3e-4,\n"
                  "2,0,0,linear\n2,2159,3e-4,cosine\n2,24000,3e-5,\n"
                  "3,0,0,linear\n3,2159,3e-4,hold\n3,8000,9e-5,hold\n3,16000,9e-5,\n"
                  "4,0,0,linear\n4,2159,3e-4,hold\n4,8000,3e-5,hold\n4,16000,3e-5,\n"
                  "5,0,0,linear\n5,2159,3e-4,hold\n5,8000,1.8e-4,hold\n5,16000,1.8e-4,\n"
                  "6,0,0,linear\n6,2159,3e-4,hold\n6,20000,3e-4,exponential\n6,24000,3e-5,\n",
                  TableFormat::csv, "schedules"));
  PlantedRows rows({"run", "step", "L"});
  for (const int run : {1, 2, 3, 4, 5, 6}) {
    const bool drops = run >= 3 && run <= 5;
    for (double step = 2304; step <= (drops ? 16000 : 24000); step += drops ? 256 : 512)
      rows.push({1.0 * run, step, 3.0});
  }
  const Table empty = std::move(rows).table();
  const std::vector<double> exact = curve_values(empty, planted.options, c);
  planted.draw = [empty, exact](double, Random& random) {
    Table table = empty;
    for (size_t i = 0; i < exact.size(); ++i)
      table.columns[2].values[i] = exact[i] * std::exp(0.0005 * random.normal());
    return table;
  };
  // A cosine ten times as long as the longest curve.
  const auto longer = std::make_shared<const Table>(
      parse_table("run,step,lr,shape\n1,0,0,linear\n1,2159,3e-4,cosine\n1,240000,3e-5,\n",
                  TableFormat::csv, "longer"));
  PlantedRows last({"run", "step", "L"});
  last.push({1.0, 240000.0, 3.0});
  const Table end = std::move(last).table();
  FitOptions there = planted.options;
  there.schedules = longer;
  const double truth = curve_values(end, there, c).front();
  planted.predicted = [end, longer](const Fit& fit) {
    return predict_table(fit, end, {}, longer.get()).rows.front();
  };
  planted.measured = [truth](Random& random) { return truth * std::exp(0.0005 * random.normal()); };
  return planted;
}

}  // namespace rung
