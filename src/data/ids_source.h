// A source without text, for runs that came without their data: a vocabulary, and a tokenizer where
// there is one.
#pragma once
#include <functional>

#include "data/source.h"
#include "data/tokenizer.h"

namespace rung {

// `open` is called once, when text is first encoded or decoded; it fails where there is no
// tokenizer, or none that can be read.
// `file`: where the tokenizer lies, empty for none.
std::shared_ptr<const TokenSource> ids_source(int64_t vocabulary, std::string file,
                                              std::function<std::unique_ptr<Tokenizer>()> open);

}  // namespace rung
