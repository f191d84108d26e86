// A source without text, for runs that came without their data: a vocabulary, and a tokenizer where
// there is one.
#pragma once
#include "data/source.h"

namespace rung {

// Opens the configuration's tokenizer when text is first encoded or decoded; that fails where there
// is none, or none that can be read.
std::shared_ptr<const TokenSource> ids_source(const DataConfig& config);

}  // namespace rung
