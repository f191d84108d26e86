#include "core/json_field.h"

#include "core/error.h"

namespace rung {

Json read_field(const fs::path& path, const std::string& key) {
  const Json json = read_json(path);
  if (!json.is_object() || !json.contains(key))
    fail("[json] {} is not as it was written: it lacks {}.", path.string(), key);
  return json.at(key);
}

}  // namespace rung
