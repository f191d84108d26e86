#include "law/procedures/vocabulary.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/uncertainty.h"

namespace rung {

double Compression::operator()(double vocabulary) const {
  const double log_v = std::log(std::min(vocabulary, largest));
  return a * log_v * log_v + b * log_v + c;
}

double Compression::slope(double vocabulary) const {
  return vocabulary < largest ? (2.0 * a * std::log(vocabulary) + b) / vocabulary : 0.0;
}

Compression compression_of(const Settings& settings) {
  return {settings.at("f_a"), settings.at("f_b"), settings.at("f_c"), settings.at("f_largest")};
}

double width_of(double non_vocabulary) {
  constexpr double steps[][2] = {{5e7, 512},   {2e8, 768},   {5e8, 1024},   {1e9, 1536},
                                 {2e9, 2048},  {5e9, 3200},  {1e10, 4096},  {2e10, 5120},
                                 {5e10, 6048}, {1e11, 8192}, {2e11, 12288}, {5e11, 16384},
                                 {1e12, 20480}};
  for (const auto& [largest, width] : steps)
    if (non_vocabulary <= largest) return width;
  return 24576;
}

void check_units(const RawRows& rows, const Compression& f, Derivation& derivation) {
  const auto refuse_units = [&](std::string text) {
    derivation.diagnostics.push_back({"units", Severity::refusal, std::move(text)});
  };
  const double typical = quantile(rows["V"], 0.5);
  if (typical < 1000.0)
    refuse_units(
        fmt::format("{} is the number of entries. Received a median of {:.4g}, which looks "
                    "like thousands: f(V) would be wrong by a factor of about {:.2f}. "
                    "Multiply it by 1000.",
                    rows.names.at("V"), typical, f(typical) / f(1000.0 * typical)));
  if (rows.has("d") && quantile(rows["d"], 0.5) < 16.0)
    refuse_units(fmt::format("{} is the embedding's width. Received a median of {:.4g}.",
                             rows.names.at("d"), quantile(rows["d"], 0.5)));
  if (!rows.has("F")) return;
  std::vector<double> ratio;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const double v = rows["V"][i], width = rows.has("d") ? rows["d"][i] : width_of(rows["Nnv"][i]);
    ratio.push_back(rows["F"][i] / (6.0 * (rows["Nnv"][i] + v * width) * rows["H"][i] * f(v)));
  }
  const double off = quantile(ratio, 0.5);
  if (std::fabs(std::log(off)) > 0.2)
    refuse_units(
        fmt::format("{} is {:.4g} times 6 (Nnv + V d) H f(V): a unit or the tokenizer's "
                    "f(V) is wrong. Give all counts in ones, or the settings f_a, f_b, "
                    "f_c.",
                    rows.names.at("F"), off));
}

}  // namespace rung
