// A TokenSource over the shards of a text.
#pragma once
#include <memory>
#include <string>

#include "data/prepare.h"
#include "data/source.h"

namespace rung {

// `path` is what describe() says; `text` holds the opened shards.
std::shared_ptr<const TokenSource> text_source(std::string path, PreparedText text);

}  // namespace rung
