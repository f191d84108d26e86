#include "law/column_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

constexpr std::array<std::string_view, 8> usual_names = {"N", "D",   "C",    "L",
                                                         "x", "run", "step", "lr"};

// What the names of a quantity's columns hold, however trackers nest them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> telling_parts = {
    {{"N", "param"}, {"D", "token"}, {"C", "flop"}, {"L", "loss"}}};

// `, perhaps eval/loss`: the columns that may be meant, if any.
std::string likely_columns(const Table& table, const std::string& quantity) {
  constexpr size_t most = 3;
  std::vector<std::string> likely;
  for (const auto& [name, part] : telling_parts)
    for (const Column& column : table.columns) {
      std::string lower = column.name;
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (name == quantity && lower.find(part) != std::string::npos && likely.size() < most)
        likely.push_back(column.name);
    }
  return likely.empty() ? "" : fmt::format(", perhaps {}", fmt::join(likely, " or "));
}

}  // namespace

void fail_no_column(const Table& table, std::string_view who, const std::string& quantity,
                    const std::vector<std::string>& others) {
  std::string names, more;
  for (const Column& column : table.columns) names += (names.empty() ? "" : ", ") + column.name;
  if (names.empty())
    fail_usage("[{}] {} has no columns. Give a table of runs, a line each.", who, table.source);
  for (const std::string& other : others)
    more += fmt::format(" None for {} either{}.", other, likely_columns(table, other));
  fail_usage("[{}] {} has no column for {}. Received columns {}. Name it: --columns {}=COLUMN{}.{}",
             who, table.source, quantity == "L" ? "the loss" : quantity, names, quantity,
             likely_columns(table, quantity), more);
}

std::vector<std::string_view> columns_of(const Law& law) {
  std::vector<std::string_view> names(law.inputs.begin(), law.inputs.end());
  names.push_back(law.target);
  return names;
}

bool reads_column(const FitOptions& options, const std::vector<std::string_view>& own,
                  std::string_view name) {
  return std::find(own.begin(), own.end(), name) != own.end() ||
         std::find(usual_names.begin(), usual_names.end(), name) != usual_names.end() ||
         options.where.find(name) != std::string::npos;
}

void check_column_names(const FitOptions& options, std::string_view reader,
                        const std::vector<std::string_view>& own) {
  for (const auto& [name, column] : options.columns) {
    if (reads_column(options, own, name)) continue;
    std::vector<std::string_view> names = own;
    names.insert(names.end(), usual_names.begin(), usual_names.begin() + 4);
    fail_usage("[columns] {} reads no {}. Received {}={}. The nearest is {}.", reader, name, name,
               column, nearest_name(name, names));
  }
}

}  // namespace rung
