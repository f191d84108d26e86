#include "study/prediction_file.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "temporary.h"

using namespace rung;

TEST_CASE("a climb that has not come to its prediction is told from a folder without a climb") {
  const TemporaryFolder folder;
  const std::string name = folder.path.string();
  CHECK_THROWS_WITH_AS(
      read_prediction(folder.path),
      ("[climb] " + name + " holds no prediction.json. Give the folder of a climb.").c_str(),
      Error);
  write_json(folder / "plan.json", {{"flops", 1e12}});
  CHECK_THROWS_WITH_AS(read_prediction(folder.path),
                       ("[climb] " + name +
                        " has no prediction yet: its climb has not come to it. Continue it with "
                        "--resume.")
                           .c_str(),
                       Error);
}
