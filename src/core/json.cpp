#include "core/json.h"

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"

namespace rung {

Json read_json(const fs::path& path) {
  const std::string text = read_file(path);
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    fail("[json] {} is not valid JSON: {}.", path.string(), json_reason(error));
  }
}

void write_json(const fs::path& path, const Json& value) {
  write_file(path, value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace rung
