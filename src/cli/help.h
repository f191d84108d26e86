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
std::string help_text(std::string_view program, std::span<const Verb* const> verbs);
std::string verb_help(std::string_view program, const Verb& verb);

}  // namespace rung
