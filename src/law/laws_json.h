// The tables of laws and of procedures as data: what `rung laws --json` prints.
#pragma once
#include "core/json.h"

namespace rung {

// {"laws": [{name, formula, target, objective, inputs, coefficients, identifiable, source}],
// "procedures": [{name, formula, columns, laws, settings, identifiable, source}]}
Json laws_to_json();

}  // namespace rung
