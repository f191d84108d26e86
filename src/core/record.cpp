#include "core/record.h"

namespace rung {

std::optional<std::string> recorded_hash(const std::vector<Json>& log) {
  const auto text = [](const Json& event, const char* key) {
    const auto at = event.find(key);
    return at != event.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  for (const Json& event : log)
    if (event.is_object() && text(event, "event") == "prediction") return text(event, "sha256");
  return std::nullopt;
}

}  // namespace rung
