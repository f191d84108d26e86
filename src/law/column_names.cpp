#include "law/column_names.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

constexpr std::array<std::string_view, 8> usual_names = {"N", "D",   "C",    "L",
                                                         "x", "run", "step", "lr"};

}  // namespace

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
