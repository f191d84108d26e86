// Folders that receive what a verb makes.
#pragma once
#include <string_view>

#include "core/files.h"

namespace rung {

// Makes `folder` and those above it where they are not there. Fails with its name; `where` begins
// the message.
void make_folder(const fs::path& folder, std::string_view where);

}  // namespace rung
