// Text for a page: escaping, numbers as people read them, tables.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/table.h"

namespace rung {

// For element text and quoted attributes: & < > " '.
std::string escape_html(std::string_view text);

// JSON that may stand inside <script>: no "</", no "<!--", invalid UTF-8 replaced.
std::string script_json(const Json& json);

// All return a dash for numbers that are not finite.
std::string show_count(double value);  // 229k, 1.82M, 3.1B
std::string show_flops(double value);  // 3.4 x 10^12 with HTML superscripts
std::string show_number(double value,
                        int digits = 4);    // significant digits, as short as they allow
std::string show_loss(double value);        // four decimals
std::string show_percent(double fraction);  // +0.34 %, with a true minus sign
std::string show_seconds(double value);     // 12.3 s, 4 min 12 s, 1 h 03 min

// 2^-1.2 with an HTML superscript and a true minus sign.
std::string show_power_of_two(double exponent, int decimals = 0);

// A table that scrolls sideways on narrow screens, its first column fixed. Cells are HTML already;
// `numeric[k]` sets column k to the right.
std::string html_table(const TableRow& head, const std::vector<TableRow>& rows,
                       const std::vector<bool>& numeric);

// A section with an anchor and a title; empty content gives nothing.
std::string html_section(std::string_view id, std::string_view title, const std::string& content);

}  // namespace rung
