#include "study/groups.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "study/audit.h"
#include "study/ladder.h"
#include "support/configs.h"
#include "train/run.h"

using namespace rung;
using rung::test::ChainSource;

namespace {

RunConfig small(int64_t width, double lr, uint64_t seed) {
  RunConfig config;
  config.data.path = "synthetic";
  config.seed = seed;
  config.model.width = width, config.model.depth = 2, config.model.context = 16;
  config.train.lr = lr, config.train.batch_tokens = 256, config.train.tokens = 6400;
  return config;
}

}  // namespace

TEST_CASE("members of equal shape form one group, in order") {
  const std::vector<RunConfig> members = {small(16, 1, 1), small(32, 1, 1), small(16, 2, 1),
                                          small(16, 1, 2)};
  const auto groups = group_members(members);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].index == std::vector<size_t>{0, 2, 3});
  CHECK(groups[1].index == std::vector<size_t>{1});
  std::vector<RunConfig> schedules = {small(16, 1, 1), small(16, 1, 1)};
  schedules[1].train.warmup = 0.1;
  const auto split = group_members(schedules);
  REQUIRE(split.size() == 2);
  CHECK(split[0].name != split[1].name);
}

TEST_CASE("multipliers are a member's own on the CPU and a population's on CUDA") {
  std::vector<RunConfig> members = {small(16, 1, 1), small(16, 2, 2), small(16, 1, 3)};
  members[1].multipliers.alpha_attn = 2;
  CHECK(group_members(members).size() == 1);
  for (RunConfig& member : members) member.device = "cuda";
  const auto groups = group_members(members);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].index == std::vector<size_t>{0, 2});
}

TEST_CASE("a population of diverged members fails, or is a result where that is wanted") {
  RunConfig wild = small(16, 1e6, 1);
  wild.model.norm_gain = true;  // gains reach infinity; without them the norms hold it back
  wild.train.warmup = 0.0;
  const std::vector<RunConfig> members = {wild};
  const auto source = open_source(wild.data, "");
  const auto run = [&](bool fails) {
    return train_run({.members = members, .fails_diverged = fails}, source,
                     source->held_out(16, 64), make_machine("cpu", 1), {});
  };
  CHECK_THROWS_AS(run(true), Error);
  const RunResult result = run(false);
  REQUIRE(result.finishes.size() == 1);
  CHECK(result.finishes[0][0].status == MemberStatus::diverged);
  CHECK(std::isnan(result.finishes[0][0].loss));
}

TEST_CASE("a ladder's lengths follow tokens per parameter and share their warm-up") {
  const std::vector<RunConfig> members = {small(16, 1, 1)};
  const auto source = open_source(members[0].data, "");
  const Shape shapes[] = {parse_shape("16x2"), parse_shape("32x3")};
  const double ratios[] = {4, 2};
  const auto plan = plan_ladder(members, shapes, ratios, *source);
  REQUIRE(plan.size() == 2);
  for (const RungPlan& rung : plan) {
    REQUIRE(rung.finishes.size() == 2);
    CHECK(rung.finishes[0].warmup == rung.finishes[1].warmup);
    CHECK(rung.finishes[0].trunk() < rung.finishes[1].trunk());
    const Json audit = audit_json(rung.members[0], source->vocabulary());
    const double n = audit.at("N").get<double>();
    const double tokens = static_cast<double>(rung.finishes[1].steps * 256);
    CHECK(tokens >= 4.0 * n);
    CHECK(tokens < 4.0 * n + 256.0);
    CHECK(rung.members[0].train.tokens == rung.finishes[1].steps * 256);
  }
  CHECK_THROWS_AS(parse_shape("16"), Error);
  CHECK_THROWS_AS(parse_shape("16x"), Error);
  std::vector<RunConfig> cosine = members;
  cosine[0].train.schedule = "cosine";
  CHECK_THROWS_WITH(plan_ladder(cosine, shapes, ratios, *source), doctest::Contains("cosine"));
}

TEST_CASE("groups: members that do not fit at once become populations as even as can be") {
  std::vector<RunConfig> members(7);
  for (size_t i = 0; i < members.size(); ++i) members[i].seed = i + 1;
  const auto vocabulary = [](const DataConfig&) { return int64_t{256}; };
  CHECK(fitted_groups(members, vocabulary, 1).size() == 1);
  const Decoder d = make_decoder(members[0], 256);
  const double three = plan_memory(d, members[0], 3, 1, 1).total();
  for (RunConfig& c : members) c.train.memory = three;
  const std::vector<Group> groups = fitted_groups(members, vocabulary, 1);
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].name != groups[1].name);
  std::vector<size_t> seen;
  for (const Group& group : groups) {
    CHECK(group.members.size() >= 2);
    CHECK(group.members.size() <= 3);
    for (size_t i = 0; i < group.index.size(); ++i) {
      CHECK(group.members[i].seed == members[group.index[i]].seed);
      seen.push_back(group.index[i]);
    }
  }
  CHECK(seen == std::vector<size_t>{0, 1, 2, 3, 4, 5, 6});
  // Too little for one.
  members[0].train.memory = 1000.0;
  CHECK_THROWS_WITH_AS(
      check_group({.name = "", .members = {members[0]}, .index = {0}}, ChainSource(256)),
      doctest::Contains("train.memory"), Error);
}

TEST_CASE("groups: a folder keeps the populations that it began with") {
  std::vector<RunConfig> members(5);
  for (size_t i = 0; i < members.size(); ++i) members[i].seed = i + 1;
  members[1].model.width = 32;  // a shape between the others
  const auto vocabulary = [](const DataConfig&) { return int64_t{256}; };
  const std::vector<Group> whole = group_members(members);
  for (RunConfig& c : members)
    c.train.memory = plan_memory(make_decoder(members[0], 256), members[0], 2, 1, 1).total();
  const std::vector<Group> split = fitted_groups(members, vocabulary, 1);
  REQUIRE(whole.size() == 2);
  REQUIRE(split.size() == 3);
  const auto folder = std::filesystem::temp_directory_path() / "rung-kept-groups";
  std::filesystem::remove_all(folder);
  CHECK(kept_groups(folder, whole).size() == 2);
  keep_places(folder, split);
  const std::vector<Group> kept = kept_groups(folder, whole);
  REQUIRE(kept.size() == split.size());
  for (const Group& group : split) {
    const auto same = [&](const Group& other) { return other.name == group.name; };
    const auto at = std::find_if(kept.begin(), kept.end(), same);
    REQUIRE(at != kept.end());
    CHECK(at->index == group.index);
    for (size_t m = 0; m < group.members.size(); ++m)
      CHECK(at->members[m].seed == group.members[m].seed);
  }
  const std::vector<RunConfig> fewer(members.begin(), members.begin() + 3);
  CHECK_THROWS_WITH_AS(kept_groups(folder, group_members(fewer)), doctest::Contains("runs.json"),
                       Error);
  std::filesystem::remove_all(folder);
}
