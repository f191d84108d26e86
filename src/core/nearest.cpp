#include "core/nearest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace rung {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Edits between two words: insertion, deletion, replacement, exchange of neighbours
// (Damerau-Levenshtein, optimal string alignment).
size_t edits(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

// What other programs call it: no edit leads from one to the other.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> synonyms{
    {{"gpu", "cuda"},
     {"float64", "fp64"},
     {"float32", "fp32"},
     {"bfloat16", "bf16"},
     {"float8", "fp8"},
     {"evaluate", "eval"},
     {"evaluation", "eval"},
     {"perplexity", "eval"},
     {"inference", "generate"},
     {"infer", "generate"},
     {"sample", "generate"},
     {"chat", "generate"},
     {"tune", "sweep"},
     {"search", "sweep"},
     {"pretrain", "train"},
     {"benchmark", "bench"},
     {"extrapolate", "predict"},
     {"validate", "verify"}}};

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string wanted = lower(word.substr(0, 256));
  for (const auto& [elsewhere, here] : synonyms)
    if (wanted == elsewhere &&
        std::find(candidates.begin(), candidates.end(), here) != candidates.end())
      return std::string(here);
  std::string best;
  size_t fewest = SIZE_MAX;
  for (const std::string& candidate : candidates) {
    const std::string full = lower(candidate), last = full.substr(full.rfind('.') + 1);
    size_t distance = edits(wanted, full);
    size_t limit = std::max<size_t>(1, std::max(wanted.size(), full.size()) / 3);
    // `lr` and `widht` mean train.lr and model.width: the section may be left out.
    if (last != full && wanted.find('.') == std::string::npos) {
      distance = edits(wanted, last);
      limit = wanted.size() < 3 ? 0 : std::max<size_t>(1, wanted.size() / 3);
    }
    if (distance > limit || distance >= fewest) continue;
    fewest = distance;
    best = candidate;
  }
  return best;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& candidates,
                       const std::string& otherwise) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? otherwise : " Did you mean " + near + "?";
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string wanted = lower(std::string(name.substr(0, 256)));
  std::string_view best;
  size_t fewest = SIZE_MAX;
  for (const std::string_view candidate : candidates) {
    const std::string full = lower(std::string(candidate));
    // Who writes `loss` may mean loss_last5avg.
    const bool begun = wanted.size() > 1 && full.starts_with(wanted);
    const size_t distance = begun ? 0 : edits(wanted, full);
    if (distance >= fewest) continue;
    fewest = distance;
    best = candidate;
  }
  return best;
}

}  // namespace rung
