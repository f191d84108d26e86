#include "train/result.h"

#include <limits>

#include "config/difference.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"

namespace rung {
namespace {

MemberResult member_result_from(const Json& json, const RunConfig& config) {
  MemberResult r{.config = config};
  r.status = json.at("status") == "ok" ? MemberStatus::running : MemberStatus::diverged;
  r.steps = json.at("steps").get<int64_t>();
  r.tokens = json.at("tokens").get<int64_t>();
  const auto number = [&](const char* key) {
    return json.at(key).is_null() ? std::numeric_limits<double>::quiet_NaN()
                                  : json.at(key).get<double>();
  };
  r.loss = number("loss");
  r.standard_error = number("L_se");
  r.training_loss = number("training_loss");
  return r;
}

Json settings_json(std::span<const RunConfig> members) {
  Json list = Json::array();
  for (const RunConfig& config : members) list.push_back(to_json(config));
  return list;
}

// A file's settings, comparable with those of members; it may lack keys that are new since.
Json saved_settings(const Json& saved) {
  Json list = Json::array();
  for (const Json& config : saved) list.push_back(with_defaults(config));
  return list;
}

}  // namespace

Json to_json(const MemberResult& r) {
  return {{"seed", r.config.seed},
          {"lr", r.config.train.lr},
          {"weight_decay", r.config.train.weight_decay},
          {"status", r.status == MemberStatus::running ? "ok" : "diverged"},
          {"steps", r.steps},
          {"tokens", r.tokens},
          {"loss", json_number(r.loss)},
          {"L_se", json_number(r.standard_error)},
          {"training_loss", json_number(r.training_loss)}};
}

Json finishes_to_json(const Finishes& finishes) {
  Json json = Json::array();
  for (const auto& members : finishes) {
    Json list = Json::array();
    for (const MemberResult& r : members) list.push_back(to_json(r));
    json.push_back(std::move(list));
  }
  return json;
}

Finishes finishes_from_json(const Json& json, std::span<const RunConfig> members) {
  Finishes finishes;
  for (const Json& list : json) {
    finishes.emplace_back();
    for (size_t m = 0; m < members.size(); ++m)
      finishes.back().push_back(member_result_from(list.at(m), members[m]));
  }
  return finishes;
}

void write_result(const fs::path& folder, const EndedRun& run) {
  std::vector<RunConfig> members;
  for (const MemberResult& r : run.finishes.front()) members.push_back(r.config);
  Json all = Json::array();
  for (const auto& finish : run.finishes)
    for (const MemberResult& r : finish) all.push_back(to_json(r));
  write_json(folder / "result.json", {{"results", all},
                                      {"flops", run.flops},
                                      {"seconds", run.seconds},
                                      {"settings", settings_json(members)}});
}

std::optional<EndedRun> read_result(const fs::path& folder, std::span<const RunConfig> members) {
  const fs::path path = folder / "result.json";
  if (!fs::exists(path)) return {};
  const Json json = read_json(path);
  if (!json.contains("settings")) return {};  // of an early build: nobody knows whose it is
  const std::string difference =
      difference_text(saved_settings(json.at("settings")), settings_json(members));
  if (!difference.empty())
    fail(
        "[train] {} belongs to other settings: {}. Resume with the settings that it was run with, "
        "or choose another folder.",
        path.string(), difference);
  const Json& flat = json.at("results");
  if (flat.empty() || flat.size() % members.size() != 0)
    fail("[train] {} is damaged: {} results of {} members. Remove it and resume.", path.string(),
         flat.size(), members.size());
  Json nested = Json::array();
  for (size_t i = 0; i < flat.size(); ++i) {
    if (i % members.size() == 0) nested.push_back(Json::array());
    nested.back().push_back(flat[i]);
  }
  return EndedRun{.finishes = finishes_from_json(nested, members),
                  .flops = json.at("flops").get<double>(),
                  .seconds = json.at("seconds").get<double>()};
}

}  // namespace rung
