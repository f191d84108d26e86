// The planted-truth study: simulated ladders of every law, fitted; how often do the intervals hold
// the truth?
//
//   law_coverage [--laws a,b] [--ladders 1000] [--threads 0] [--bootstrap 1000] [--seed 0]
//                [--factor 10] [--resampling automatic|rows|parametric] [--json FILE]
//
// Prints Markdown tables. Laws whose fit takes over 50 ms get a fifth of the ladders. The bar is
// 85-95 % for a 90 % interval (82-97 % with at most 200 ladders).
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "core/error.h"
#include "core/json.h"
#include "law/coverage.h"

using namespace rung;

namespace {

constexpr double slow_fit = 0.05;  // seconds

using Arguments = std::map<std::string, std::string>;

Arguments read_arguments(int count, char** values) {
  Arguments arguments = {
      {"--laws", ""},  {"--ladders", "1000"}, {"--threads", "0"}, {"--bootstrap", "1000"},
      {"--seed", "0"}, {"--factor", "10"},    {"--json", ""},     {"--resampling", "automatic"}};
  for (int i = 1; i < count; ++i) {
    if (!arguments.contains(values[i]) || i + 1 == count)
      fail_usage("[law_coverage] Unknown option or no value. Received {}.", values[i]);
    arguments[values[i]] = values[i + 1];
    ++i;
  }
  return arguments;
}

std::vector<const Law*> chosen_laws(const std::string& names) {
  std::vector<const Law*> chosen;
  if (names.empty()) {
    for (const Law* law : laws())
      if (can_plant(*law)) chosen.push_back(law);
    return chosen;
  }
  std::stringstream list(names);
  for (std::string name; std::getline(list, name, ',');) chosen.push_back(&find_law(name));
  return chosen;
}

bool within_bar(double covered, int fits) {
  return fits > 200 ? covered >= 0.85 && covered <= 0.95 : covered >= 0.82 && covered <= 0.97;
}

std::string cell(double covered, int fits) {
  return fmt::format("{:.1f}{}", 100.0 * covered, within_bar(covered, fits) ? "" : " **!**");
}

void print_row(const Coverage& coverage) {
  const int fits = coverage.ladders - coverage.refused;
  std::string coefficients;
  for (const CoefficientCoverage& c : coverage.coefficients)
    coefficients += fmt::format("{}{} {}{}", coefficients.empty() ? "" : ", ", c.name,
                                cell(c.covered, fits), c.nuisance ? " (nuisance)" : "");
  std::string errors;
  for (const CoefficientCoverage& c : coverage.coefficients)
    errors += fmt::format("{}{} {:.2g}", errors.empty() ? "" : ", ", c.name, c.median_error);
  std::string refusals = fmt::format("{}", coverage.refused);
  for (const auto& [code, count] : coverage.codes) refusals += fmt::format(" {} {}", code, count);
  fmt::print("| {} | {} | {} | {} | {} | {} | {} | {:.2g} | {:.2g} | {} | {:.1f} |\n",
             coverage.law->name, coverage.points, coverage.ladders, refusals, coverage.missed,
             coefficients, cell(coverage.predicted, fits), coverage.prediction_error,
             coverage.prediction_width, errors, 1e3 * coverage.seconds);
  std::fflush(stdout);
}

Json to_json(const Coverage& coverage) {
  Json result = {{"law", std::string(coverage.law->name)},
                 {"points", coverage.points},
                 {"ladders", coverage.ladders},
                 {"refused", coverage.refused},
                 {"refusals", coverage.codes},
                 {"missed", coverage.missed},
                 {"predicted", json_number(coverage.predicted)},
                 {"prediction_error", json_number(coverage.prediction_error)},
                 {"prediction_width", json_number(coverage.prediction_width)},
                 {"seconds", coverage.seconds},
                 {"coefficients", Json::array()}};
  for (const CoefficientCoverage& c : coverage.coefficients)
    result["coefficients"].push_back({{"name", c.name},
                                      {"nuisance", c.nuisance},
                                      {"covered", json_number(c.covered)},
                                      {"median_error", json_number(c.median_error)},
                                      {"median_width", json_number(c.median_width)}});
  return result;
}

// A fit's cost decides how many ladders a law gets.
CoverageOptions options_for(const Planted& planted, CoverageOptions options) {
  CoverageOptions probe = options;
  probe.ladders = 3;
  probe.threads = 1;
  if (measure_coverage(planted, probe).seconds > slow_fit)
    options.ladders = (options.ladders + 4) / 5;
  return options;
}

int run(int count, char** values) {
  const auto begin = std::chrono::steady_clock::now();
  Arguments arguments = read_arguments(count, values);
  CoverageOptions options{.ladders = std::atoi(arguments["--ladders"].c_str()),
                          .factor = std::atof(arguments["--factor"].c_str()),
                          .seed = std::strtoull(arguments["--seed"].c_str(), nullptr, 10),
                          .threads = std::atoi(arguments["--threads"].c_str())};
  options.fit.bootstrap = std::atoi(arguments["--bootstrap"].c_str());
  const std::string& resampling = arguments["--resampling"];
  options.fit.resampling = resampling == "rows"         ? Resampling::rows
                           : resampling == "parametric" ? Resampling::parametric
                                                        : Resampling::automatic;
  fmt::print(
      "| law | rows | ladders | refused | optimum missed | coefficients covered, % | prediction "
      "covered, % | "
      "error of the prediction | width of its interval | error of the coefficients | ms a fit |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n");
  Json results = Json::array();
  for (const Law* law : chosen_laws(arguments["--laws"])) {
    const Planted planted = plant(*law);
    const Coverage coverage = measure_coverage(planted, options_for(planted, options));
    print_row(coverage);
    results.push_back(to_json(coverage));
  }
  if (!arguments["--json"].empty()) write_json(arguments["--json"], results);
  fmt::print("\n{:.1f} s in all\n",
             std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run(count, values);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.kind);
  }
}
