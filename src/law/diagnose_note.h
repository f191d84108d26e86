// What the checks share: how a finding is written down, and rows named in it.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "law/fit.h"
#include "law/select.h"

namespace rung {

using Diagnostics = std::vector<Diagnostic>;

template <class... Args>
void note(Diagnostics& list, std::string_view code, Severity severity,
          fmt::format_string<Args...> format, Args&&... args) {
  list.push_back({std::string(code), severity, fmt::format(format, std::forward<Args>(args)...)});
}

// The first three of a list of rows, for a message.
std::string name_rows(const Table& table, const Selection& selection,
                      const std::vector<size_t>& positions);

// The middle value; of an even count the upper of the two.
double upper_median(std::vector<double> values);

}  // namespace rung
