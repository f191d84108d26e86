// A mapping such as `--columns n=params` that no part of a fit reads would be passed over without a
// word, and a column of the usual name be taken instead: it is a usage error.
#pragma once
#include <string_view>
#include <vector>

#include "law/fit.h"

namespace rung {

// What a law reads by name: its inputs and its target.
std::vector<std::string_view> columns_of(const Law& law);

// Whether a law or procedure that reads `own` may be given this name: one of its own, one that
// every fit knows (N, D, C, L, x, and run, step, lr of learning curves), or one that the filter
// names.
bool reads_column(const FitOptions& options, const std::vector<std::string_view>& own,
                  std::string_view name);

// Fails on the first name of options.columns that `reader` does not read.
void check_column_names(const FitOptions& options, std::string_view reader,
                        const std::vector<std::string_view>& own);

// Fails as `who` for want of a column for `quantity`: names those there are, and such as may be it
// (a tracker's eval/loss). `others` that have none either are named with it: who maps one column
// would meet the next one else.
[[noreturn]] void fail_no_column(const Table& table, std::string_view who,
                                 const std::string& quantity,
                                 const std::vector<std::string>& others = {});

}  // namespace rung
