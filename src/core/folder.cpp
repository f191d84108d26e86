#include "core/folder.h"

#include "core/error.h"

namespace rung {

void make_folder(const fs::path& folder, std::string_view where) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("[{}] Cannot create {}: {}.", where, folder.string(), error.message());
}

}  // namespace rung
