// A filter over a table's rows: `C > 1e18 && N < D`, `split == "train"`, `log10(N) >= 8 or not (D <
// 1e9)`. Operators, loosest first: or ||, and &&, not !, comparisons, + -, * /, ^ **, unary -.
// Functions: log, log2, log10, exp, sqrt, abs. A column with other characters in its name stands in
// backticks: `Model Size`.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "law/table.h"

namespace rung {

// Indices of the rows for which `expression` holds; every row for an empty one. N, D, C and L stand
// for the mapped columns. A row with a missing value in a comparison, or for itself, is left out; a
// cell with text in it is true, one with a number unless that is 0. Syntax errors and unknown names
// are usage errors.
std::vector<size_t> filter_rows(const Table& table, std::string_view expression,
                                const std::map<std::string, std::string>& mapping = {});

// Some rows of a table, which keep their numbers for errors.
Table part_of(const Table& table, const std::vector<size_t>& rows);

}  // namespace rung
