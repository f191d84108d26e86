#include "cli/cache.h"

#include <cstdlib>

namespace rung {

std::string data_cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (const std::string own = variable("RUNG_CACHE"); !own.empty()) return own + "/data";
  if (const std::string user = variable("XDG_CACHE_HOME"); !user.empty())
    return user + "/rung/data";
  const std::string home = variable("HOME");
  return (home.empty() ? "." : home) + "/.cache/rung/data";
}

}  // namespace rung
