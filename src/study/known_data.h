// Data of a folder that goes on, perhaps on another machine: the same text elsewhere keeps the path
// by which the folder's files know it; another text at that path is refused.
#pragma once
#include <filesystem>
#include <string>

#include "data/source.h"

namespace rung {

// The path by which runs below `folder` know the text of `source`, which was opened at `path`:
// theirs where their logs name a text of its hash, else `path`. Fails where the text at `path` has
// changed since.
std::string known_data_path(const std::filesystem::path& folder, const std::string& path,
                            const TokenSource& source);

}  // namespace rung
