// A fit as the text that people read: formula, coefficients with intervals, how well it fits, what
// it warns of.
#pragma once
#include <string>

#include "law/fit.h"
#include "law/forms.h"

namespace rung {

std::string fit_text(const Fit& fit);

// The leading fit, and the table of all with their weights where there are several.
std::string fit_text(const Forms& forms);

}  // namespace rung
