// The verbs over LibTorch; verbs_law.cpp has the others.
#pragma once
#include "cli/verb.h"

namespace rung {

std::span<const Verb* const> torch_verbs();

}  // namespace rung
