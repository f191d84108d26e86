// What is known of a configuration key before it has a value.
#pragma once
#include <string>
#include <vector>

#include "config/resolve.h"

namespace rung {

enum class FieldKind { unknown, number, truth, text };
FieldKind field_kind(const std::string& key);
std::vector<std::string> field_keys();

// `Unknown key x. Did you mean y?`
std::string unknown_key_text(const std::string& key);

// Replaces range values of number fields by the numbers they stand for.
void expand_ranges(Setting& setting);

}  // namespace rung
