// What `rung help`, `rung VERB --help` print.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/verb.h"

namespace rung {

// The options that every verb takes (--dry-run where it trains).
std::vector<Option> common_options(bool trains);
// For a terminal of so many columns; 0: for none, where lines of `rung help` stay whole.
std::string help_text(std::string_view program, std::span<const Verb* const> verbs, size_t columns);
std::string verb_help(std::string_view program, const Verb& verb, size_t columns);

}  // namespace rung
