#include "core/json.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/json_field.h"
#include "temporary.h"

using namespace rung;

TEST_CASE("json: a file that is torn or lacks an entry is named, without the library's codes") {
  const TemporaryFolder folder;
  const fs::path path = folder / "plan.json";
  write_file(path, R"({"flops": 3e9, "runs": [)");
  const std::string torn = error_of([&] { read_json(path); });
  CHECK(torn.starts_with("[json] " + path.string() + " is not valid JSON: parse error at line 1"));
  CHECK(torn.find("json.exception") == std::string::npos);
  write_file(path, R"({"flops": 3e9})");
  CHECK(read_field(path, "flops").get<double>() == 3e9);
  CHECK(error_of([&] { read_field(path, "runs"); }) ==
        "[json] " + path.string() + " is not as it was written: it lacks runs.");
  write_file(path, "[1]");
  CHECK(error_of([&] { read_field(path, "flops"); }).find("lacks flops") != std::string::npos);
}
