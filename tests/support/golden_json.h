// Golden arrays in JSON, made by the scripts in tests/golden.
#pragma once
#include <string>

#include "core/json.h"
#include "support/source_dir.h"

namespace rung::test {

inline Json read_golden(const std::string& name) {
  return read_json(std::filesystem::path(source_dir()) / "tests/golden" / name);
}

}  // namespace rung::test
