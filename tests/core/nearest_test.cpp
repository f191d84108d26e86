#include "core/nearest.h"

#include <doctest/doctest.h>

using namespace rung;

TEST_CASE("nearest: only what is near") {
  const std::vector<std::string> verbs{"climb", "train", "fit", "predict", "plan", "help"};
  CHECK(nearest("cilmb", verbs) == "climb");
  CHECK(nearest("Fit", verbs) == "fit");
  CHECK(nearest("predcit", verbs) == "predict");
  CHECK(nearest("xyz", verbs).empty());
  CHECK(nearest("", verbs).empty());
  CHECK(nearest("q", verbs).empty());
  CHECK(nearest("gpu", {"cpu", "cuda"}) == "cuda");
  CHECK(nearest("gpu", {"cpu", "tpu"}) == "cpu");
  CHECK(nearest("Inference", {"import", "generate"}) == "generate");
  CHECK(nearest("tune", {"train", "sweep"}) == "sweep");
  CHECK(nearest("bfloat16", {"fp64", "fp32", "bf16", "fp8"}) == "bf16");
}

TEST_CASE("nearest: a suggestion ends a line, or what else helps") {
  const std::vector<std::string> verbs{"climb", "train"};
  CHECK(suggestion("cilmb", verbs) == " Did you mean climb?");
  CHECK(suggestion("xyz", verbs).empty());
  CHECK(suggestion("xyz", verbs, " See help.") == " See help.");
}

TEST_CASE("nearest: the nearest of all, however far") {
  const std::vector<std::string_view> names{"chinchilla", "power"};
  CHECK(nearest_name("CHINCILLA", names) == "chinchilla");
  CHECK(nearest_name("pwoer", names) == "power");
  const std::vector<std::string_view> columns{"N", "D", "c4_loss_last5avg"};
  CHECK(nearest_name("c4", columns) == "c4_loss_last5avg");
  CHECK(nearest_name("d", columns) == "D");
  CHECK(nearest_name("x", std::span<const std::string_view>()).empty());
}
