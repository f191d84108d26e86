#include "config/pattern.h"

#include <doctest/doctest.h>

#include "temporary.h"

using namespace rung;

namespace {

std::vector<std::string> layers(const char* pattern, int64_t depth) {
  ModelConfig model;
  model.pattern = pattern;
  model.depth = depth;
  return mixers_by_layer(model);
}

}  // namespace

TEST_CASE("a pattern of mixers repeats to the depth") {
  using Names = std::vector<std::string>;
  CHECK(layers("", 2) == Names{"attention", "attention"});
  CHECK(layers("mamba2", 3) == Names{"mamba2", "mamba2", "mamba2"});
  CHECK(layers("mamba2 x2, attention", 6) ==
        Names{"mamba2", "mamba2", "attention", "mamba2", "mamba2", "attention"});
  CHECK(layers(" a,b  x1 ,c ", 3) == Names{"a", "b", "c"});
}

TEST_CASE("a pattern that does not fit or cannot be read is refused in words") {
  const auto message = [](const char* pattern, int64_t depth) {
    return error_of([&] { layers(pattern, depth); });
  };
  CHECK(message("mamba2 x7, attention", 4).find("multiple of the layers") != std::string::npos);
  CHECK(message("mamba2 x2, attention", 4).find("depth 4") != std::string::npos);
  CHECK(message("a x99999999999", 4).find("multiple of the layers") != std::string::npos);
  for (const char* bad :
       {"mamba2 7", "mamba2 x", "mamba2 x0", "mamba2 x-1", "mamba2 x2y", ",a", "a,", "a x2 b"}) {
    CAPTURE(bad);
    CHECK(message(bad, 4).find("cannot be read") != std::string::npos);
  }
}

TEST_CASE("ffns have a pattern of their own, and some branches may not be there") {
  ModelConfig model;
  model.depth = 4;
  CHECK(ffns_by_layer(model) == std::vector<std::string>(4, "swiglu"));
  CHECK(branches_of(model) == std::vector<bool>(8, true));
  model.ffn_pattern = "none, geglu";
  CHECK(ffns_by_layer(model) == std::vector<std::string>{"none", "geglu", "none", "geglu"});
  CHECK(branches_of(model) == std::vector<bool>{true, false, true, true, true, false, true, true});
  model.ffn_pattern = "none x3";
  CHECK(error_of([&] { ffns_by_layer(model); }).find("model.ffn_pattern") != std::string::npos);
}

TEST_CASE("frozen parts by layer, one pattern for mixers and ffns") {
  ModelConfig model;
  model.depth = 4;
  for (const Frozen& f : frozen_by_layer(model)) CHECK(!(f.mixer || f.ffn));
  model.frozen = "none, mixer, ffn, block";
  const std::vector<Frozen> frozen = frozen_by_layer(model);
  for (const size_t layer : {0, 1, 2, 3}) {
    CHECK(frozen[layer].mixer == (layer == 1 || layer == 3));
    CHECK(frozen[layer].ffn == (layer >= 2));
  }
  model.frozen = "none x3, all";
  CHECK(error_of([&] { frozen_by_layer(model); }).find("model.frozen") != std::string::npos);
  model.frozen = "none x3";
  CHECK(error_of([&] { frozen_by_layer(model); }).find("multiple of the layers") !=
        std::string::npos);
}

TEST_CASE("windows by layer: the list is repeated and cut, global layers have none") {
  using Windows = std::vector<int64_t>;
  const auto windows = [](const char* list, int64_t depth) {
    ModelConfig model;
    model.window = 16;
    model.windows = list;
    model.depth = depth;
    return windows_by_layer(model);
  };
  CHECK(windows("", 2) == Windows{16, 16});
  CHECK(windows("local x2, global", 5) == Windows{16, 16, 0, 16, 16});
  CHECK(windows("global, local", 2) == Windows{0, 16});
  CHECK(error_of([&] { windows("local, near", 4); }).find("\"near\" cannot be read") !=
        std::string::npos);
}
