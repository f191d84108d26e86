#include "config/resolve.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/files.h"
#include "support/source_dir.h"
#include "temporary.h"

using namespace rung;

namespace {

RunConfig with(const std::vector<std::string>& settings) {
  std::vector<Setting> parsed;
  for (const std::string& text : settings) parsed.push_back(parse_setting(text));
  return resolve({}, parsed).at(0);
}

std::string refusal(const std::vector<std::string>& settings) {
  return error_of([&] { with(settings); });
}

bool contains(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE(text);
  return found;
}

}  // namespace

TEST_CASE("to_toml reads back identically, defaults and odd values alike") {
  const TemporaryFolder folder;
  RunConfig config;
  config.seed = 123456789012345678ull;
  config.data.path = "a \"quoted\" \\ path\twith ü\n and # lines";
  config.data.repeat = true;
  config.model.pattern = "attention x3, attention";
  config.train.lr = 0.1 + 0.2;
  config.train.epsilon = 1e-300;
  config.train.tokens = 1'000'000'000'000;
  config.multipliers.alpha_res = 3.0;
  for (const RunConfig& c : {RunConfig{}, config}) {
    write_file(folder / "config.toml", to_toml(c));
    const std::vector<RunConfig> back = resolve({}, read_settings(folder / "config.toml"));
    REQUIRE(back.size() == 1);
    CHECK(to_json(back[0]).dump() == to_json(c).dump());
    CHECK(to_toml(back[0]) == to_toml(c));
    CHECK(to_json(config_from_json(to_json(c))).dump() == to_json(c).dump());
  }
  CHECK(contains(to_toml({}), "[model]\nwidth = 64"));
  CHECK(contains(to_toml({}), "lr = 0.5"));
}

TEST_CASE("numbers take decimal prefixes, memory takes units of bytes") {
  CHECK(with({"train.tokens=32.3k"}).train.tokens == 32'300);
  CHECK(with({"train.memory=8GB"}).train.memory == 8e9);
  CHECK(with({"train.memory=8GiB"}).train.memory == 8589934592.0);
  CHECK(contains(refusal({"train.memory=8 gigabytes"}), "takes bytes, as 8GB or 8GiB. Received 8"));
}

TEST_CASE("unknown keys fail and name the nearest") {
  CHECK(refusal({"train.lrr=1"}) ==
        "[config] Unknown key. Received train.lrr. Did you mean train.lr?");
  CHECK(contains(refusal({"model.widht=64"}), "Did you mean model.width?"));
  CHECK(contains(refusal({"depth=2"}), "Did you mean model.depth?"));
  CHECK(contains(refusal({"base_with=2"}), "Did you mean base_width?"));
  CHECK(contains(refusal({"zzzzzzzz=2"}), "docs/config.md"));
  const TemporaryFolder folder;
  write_file(folder / "c.toml", "seed = 1\n[train]\ntoken = 5\n");
  CHECK_THROWS_AS(read_settings(folder / "c.toml"), Error);
  const std::string message = error_of([&] { read_settings(folder / "c.toml"); });
  CHECK(contains(message, "c.toml, line 3"));
  CHECK(contains(message, "Did you mean train.tokens?"));
  try {
    with({"train.lrr=1"});
  } catch (const Error& error) {
    CHECK(error.kind == Failure::usage);
  }
}

TEST_CASE("lists make a product, first setting slowest; later settings replace") {
  const std::vector<RunConfig> configs =
      resolve({}, {parse_setting("train.lr=[0.1, 0.2]"), parse_setting("seed=[1,2,3]"),
                   parse_setting("train.lr=[0.3,0.4]")});
  REQUIRE(configs.size() == 6);
  CHECK(configs[0].seed == 1);
  CHECK(configs[0].train.lr == 0.3);
  CHECK(configs[1].seed == 1);
  CHECK(configs[1].train.lr == 0.4);
  CHECK(configs[5].seed == 3);
  CHECK(refusal({"train.lr=[]"}) == "[config] A list has an empty entry. Received train.lr=[].");
  CHECK(contains(refusal({"train.lr=[1,2"}), "A list begins with ["));
  CHECK(contains(refusal({"train.lr"}), "key=value"));
  CHECK(contains(refusal({"train.lr=bad", "train.lr=1"}), "takes a number"));
}

TEST_CASE("members multiply by seeds") {
  const std::vector<RunConfig> configs =
      resolve({}, {parse_setting("train.members=3"), parse_setting("seed=10"),
                   parse_setting("train.lr=[1,2]")});
  REQUIRE(configs.size() == 6);
  CHECK(configs[0].seed == 10);
  CHECK(configs[2].seed == 12);
  CHECK(configs[2].train.lr == 1);
  CHECK(configs[3].seed == 10);
  CHECK(configs[3].train.lr == 2);
  CHECK(configs[3].train.members == 1);
}

TEST_CASE("ranges are log-spaced, powers are numbers, in files as well") {
  const Setting setting = parse_setting("train.lr=2^-8..2^0:9");
  REQUIRE(setting.values.size() == 9);
  CHECK(setting.values.front() == "0.00390625");
  CHECK(setting.values[4] == "0.0625");
  CHECK(setting.values.back() == "1");
  CHECK(with({"train.lr=2^-3"}).train.lr == 0.125);
  CHECK(with({"train.tokens=1e7"}).train.tokens == 10'000'000);
  CHECK(with({"train.batch_tokens=2^12"}).train.batch_tokens == 4096);
  CHECK(with({"train.tokens=10M"}).train.tokens == 10'000'000);
  CHECK(with({"train.tokens=2.5k"}).train.tokens == 2500);
  CHECK(with({"train.tokens=2B"}).train.tokens == with({"train.tokens=2G"}).train.tokens);
  CHECK(contains(refusal({"train.tokens=M"}), "whole number. Received M."));
  CHECK(contains(refusal({"train.tokens=80GB"}), "whole number. Received 80GB."));
  // Text fields are never ranges or lists by accident.
  CHECK(parse_setting("data.path=a..b:3").values == std::vector<std::string>{"a..b:3"});
  CHECK(with({"data.path=x=y"}).data.path == "x=y");
  CHECK(contains(refusal({"train.lr=0..1:5"}), "both ends must be positive"));
  CHECK(contains(refusal({"train.lr=1..2:1"}), "2 to 4096 points"));
  const TemporaryFolder folder;
  write_file(folder / "c.toml",
             "[train]\nlr = '2^-2..2^0:3'\nmembers = 2\n[model]\nwidth = [64, 128]\n");
  CHECK(resolve({}, read_settings(folder / "c.toml")).size() == 12);
}

TEST_CASE("wrong types and broken files are refused with their place") {
  CHECK(contains(refusal({"model.width=wide"}), "model.width takes a whole number. Received wide"));
  CHECK(contains(refusal({"model.width=1.5"}), "whole number"));
  CHECK(contains(refusal({"model.tied=1"}), "true or false"));
  CHECK(contains(refusal({"train.lr=0.25,0.5"}), "A list stands in brackets: [0.25,0.5]."));
  CHECK(contains(refusal({"train.lr=nan"}), "takes a number"));
  CHECK(contains(refusal({"train.lr=inf"}), "takes a number"));
  CHECK(contains(refusal({"train.lr="}), "takes a number"));
  CHECK(contains(refusal({"seed=-1"}), "must not be negative"));
  const TemporaryFolder folder;
  const auto file = [&](const std::string& text) {
    write_file(folder / "c.toml", text);
    return error_of([&] { resolve({}, read_settings(folder / "c.toml")); });
  };
  CHECK(contains(file("[train\n"), "c.toml, line 1"));
  CHECK(contains(file("seed = 1\nseed = 2\n"), "line 2"));
  CHECK(contains(file("[model]\nwidth = 1979-05-27\n"), "line 2: model.width takes"));
  CHECK(contains(file("device = 3\n"), "device takes text"));
  CHECK(contains(file("[train]\nlr = []\n"), "empty list"));
  CHECK(contains(file("[train]\nlr = [[1]]\n"), "takes a number"));
  CHECK(contains(error_of([&] { read_settings(folder / "absent.toml"); }), "absent.toml"));
}

TEST_CASE("bad values are refused in one line") {
  CHECK(contains(refusal({"model.width=0"}), "model.width must be from 1 to 1048576. Received 0"));
  CHECK(contains(refusal({"model.width=66"}), "multiple of 4"));
  CHECK(contains(refusal({"model.head_dim=24"}), "multiple of model.head_dim"));
  CHECK(contains(refusal({"model.kv_heads=3"}), "must divide the 4 query heads"));
  CHECK(contains(refusal({"model.width=12"}), "even head"));
  CHECK(with({"model.width=12", "model.position=none"}).model.width == 12);
  CHECK(contains(refusal({"train.batch_tokens=100"}), "multiple of model.context"));
  CHECK(contains(refusal({"train.tokens=100"}), "at least train.batch_tokens"));
  CHECK(contains(refusal({"train.lr=0"}), "must be positive"));
  CHECK(contains(refusal({"train.beta2=1"}), "train.beta2 must be from"));
  CHECK(contains(refusal({"train.warmup=0.8"}), "exceed"));
  CHECK(contains(refusal({"train.schedule=linaer"}), "Did you mean linear?"));
  CHECK(contains(refusal({"precision=fp16"}), "precision is one of fp64, fp32, bf16, fp8"));
  CHECK(contains(refusal({"alignment=some"}), "full, none, global"));
  CHECK(contains(refusal({"train.members=0"}), "train.members"));
  CHECK(contains(refusal({"train.members=60000", "seed=[1,2]"}), "more than 65536 runs"));
  CHECK_NOTHROW(validate({}));
}

TEST_CASE("configurations from JSON: missing keys keep defaults, wrong ones fail") {
  CHECK(config_from_json({{"model.width", 128}}).model.width == 128);
  CHECK(config_from_json({{"model.width", 128}}).model.depth == RunConfig{}.model.depth);
  CHECK(contains(error_of([] { config_from_json({{"model.wdth", 1}}); }), "model.width"));
  CHECK(contains(error_of([] { config_from_json({{"model.width", Json::array()}}); }), "array"));
  CHECK(contains(error_of([] { config_from_json(Json::array()); }), "JSON object"));
}

TEST_CASE("a saved configuration compares with this build's: missing keys are defaults") {
  RunConfig config;
  config.model.width = 128;
  const Json whole = to_json(config);
  CHECK(with_defaults(whole) == whole);
  Json earlier = whole;
  earlier.erase("train.deterministic");
  CHECK(earlier != whole);
  CHECK(with_defaults(earlier) == whole);
  earlier.erase("model.width");
  CHECK(with_defaults(earlier) == to_json(RunConfig{}));
  Json later = whole;
  later["model.from_later"] = 1;
  CHECK(with_defaults(later).at("model.from_later") == 1);
}

TEST_CASE("docs/config.md is what the structs say") {
  const fs::path path = fs::path(source_dir()) / "docs/config.md";
  if (std::getenv("RUNG_UPDATE_DOCS")) write_file(path, config_markdown());
  const bool fresh = read_file(path) == config_markdown();
  CHECK_MESSAGE(fresh, "docs/config.md is stale: run this test with RUNG_UPDATE_DOCS=1");
}
