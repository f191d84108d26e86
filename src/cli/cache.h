// Where tokenized text and trained tokenizers are kept between runs.
#pragma once
#include <string>

namespace rung {

// $RUNG_CACHE/data, else $XDG_CACHE_HOME/rung/data, else ~/.cache/rung/data.
std::string data_cache_folder();

}  // namespace rung
