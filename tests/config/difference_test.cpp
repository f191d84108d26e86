#include "config/difference.h"

#include <doctest/doctest.h>

#include "config/resolve.h"

using namespace rung;

namespace {

Json members(const std::vector<std::string>& settings) {
  std::vector<Setting> parsed;
  for (const std::string& text : settings) parsed.push_back(parse_setting(text));
  Json list = Json::array();
  for (const RunConfig& config : resolve({}, parsed)) list.push_back(to_json(config));
  return {{"members", list}};
}

std::string between(const std::vector<std::string>& saved, const std::vector<std::string>& now) {
  return difference_text(members(saved), members(now));
}

}  // namespace

TEST_CASE("differences of configurations are named with both values") {
  const Json first = members({"train.lr=0.5"}).at("members")[0],
             second = members({"train.lr=1", "model.ffn=geglu"}).at("members")[0];
  CHECK(difference_text(first, first) == "");
  CHECK(difference_text(first, second) ==
        "model.ffn was \"swiglu\", now \"geglu\"; train.lr was 0.5, now 1.0");
  CHECK(between({"train.lr=0.5", "train.members=3"}, {"train.lr=1", "train.members=3"}) ==
        "train.lr was 0.5, now 1.0");
}

TEST_CASE("differences of populations are lists, cut around the first that differs") {
  CHECK(between({"train.lr=[0.25,0.5]", "model.width=[16,32]"},
                {"train.lr=[0.25,1]", "model.width=[16,32]"}) ==
        "train.lr was [0.25, 0.5], now [0.25, 1.0]");
  CHECK(between({"seed=[1,2,3,4,5,6,7,8]"}, {"seed=[1,2,3,4,5,9,7,8]"}) ==
        "seed was [..., 4, 5, 6, 7, 8], now [..., 4, 5, 9, 7, 8]");
  CHECK(between({"seed=[1,2,3,4,5,6,7,8]"}, {"seed=2"}) ==
        "seed was [1, 2, 3, 4, 5, ... (8 values)], now 2");
  CHECK(between({"seed=[1,2,3]"}, {"seed=[1,2,3,4]"}) == "seed was [1, 2, 3], now [1, 2, 3, 4]");
}

TEST_CASE("differences of order or number alone are differences") {
  const std::vector<std::string> rows{"train.lr=[0.25,0.5]", "model.width=[16,32]"},
      columns{"model.width=[16,32]", "train.lr=[0.25,0.5]"};
  CHECK(
      between(rows, columns).starts_with("model.width was [16, 32, 16, 32], now [16, 16, 32, 32]"));
  const Json two{{"lr", {0.5, 0.5}}}, three{{"lr", {0.5, 0.5, 0.5}}};
  CHECK(difference_text(two, three) == "lr had 2 values, now 3");
}

TEST_CASE("what varies among configurations is named with its values") {
  const Json list = members({"train.lr=[0.25,0.5]", "model.width=[16,32]"}).at("members");
  CHECK(variety_text(list) == "model.width of [16, 32]; train.lr of [0.25, 0.5]");
  CHECK(variety_text(Json{list[0], list[0]}) == "");
  CHECK(variety_text(members({"train.members=9"}).at("members")) ==
        "seed of [1, 2, 3, 4, 5, ... (9 values)]");
}

TEST_CASE(
    "differences of plans: keys by their place, later entries passed over, unknown ones not") {
  const Json saved{
      {"rungs", {{{"name", "w16d1"}, {"finishes", {{{"steps", 20}}, {{"steps", 40}}}}}}}};
  Json now = saved;
  now["rungs"][0]["finishes"][1]["steps"] = 60;
  now["later"] = 1;
  CHECK(difference_text(saved, now) == "rungs.finishes.steps was [20, 40], now [20, 60]");
  CHECK(difference_text(now, saved) ==
        "rungs.finishes.steps was [20, 60], now [20, 40]; later is 1, which this build does not "
        "know");
  const Json none{{"without", Json::array()}}, one{{"without", {"rollout"}}};
  CHECK(difference_text(none, one) == "without was none, now \"rollout\"");
  const Json many{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}};
  const Json others{{"a", 2}, {"b", 2}, {"c", 2}, {"d", 2}, {"e", 2}};
  CHECK(difference_text(many, others) ==
        "a was 1, now 2; b was 1, now 2; c was 1, now 2; and 2 more");
}
