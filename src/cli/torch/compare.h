// `rung climb --compare`: alternatives from words, and what a comparison says.
#pragma once
#include <string>
#include <vector>

#include "config/resolve.h"
#include "core/json.h"

namespace rung {

struct NamedSettings {
  std::string name;
  std::vector<Setting> settings;
};

// Alternatives with commas between them: a part's name (mixer, ffn, optimizer or parametrisation),
// key=value, or several of them joined by '+', behind `NAME:` where the folder is to be called so.
// Commas within quotes belong to a value. Fails (usage) on fewer than two, equal or unknown ones,
// and on keys of the data.
std::vector<NamedSettings> parse_alternatives(const std::vector<std::string>& texts);

std::string comparison_text(const Json& comparison);

}  // namespace rung
