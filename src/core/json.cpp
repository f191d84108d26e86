#include "core/json.h"

#include <cmath>
#include <string_view>

#include "core/error.h"
#include "core/files.h"

namespace rung {

Json read_json(const fs::path& path) {
  const std::string text = read_file(path);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    const std::string_view what = error.what();  // behind "[json.exception.parse_error.101] "
    const size_t code = what.find("] ");
    fail("[json] {} is not valid JSON: {}.", path.string(),
         code == what.npos ? what : what.substr(code + 2));
  }
}

void write_json(const fs::path& path, const Json& value) {
  write_file(path, value.dump(2) + "\n");
}

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace rung
