#include "config/preset.h"

#include <doctest/doctest.h>

#include "config/resolve.h"
#include "core/files.h"
#include "temporary.h"

using namespace rung;

namespace {

std::vector<RunConfig> with(const std::vector<std::string>& settings) {
  std::vector<Setting> parsed;
  for (const std::string& text : settings) parsed.push_back(parse_setting(text));
  return resolve({}, parsed);
}

}  // namespace

TEST_CASE("every preset is a valid configuration that differs from the defaults") {
  for (const Preset& preset : presets()) {
    CAPTURE(preset.name);
    const RunConfig config = with({"preset=" + std::string(preset.name)}).at(0);
    CHECK(to_json(config) != to_json(RunConfig{}));
    CHECK(config.model.width == RunConfig{}.model.width);
  }
}

TEST_CASE("settings override a preset wherever it stands") {
  const RunConfig config = with({"model.tied=false", "preset=gemma2", "model.logit_cap=0"}).at(0);
  CHECK(!config.model.tied);
  CHECK(config.model.logit_cap == 0.0);
  CHECK(config.model.attention_cap == 50.0);
  CHECK(with({"preset=gemma2", "preset=llama"}).at(0).model.attention_cap == 0.0);
}

TEST_CASE("a list of presets is a population, and an unknown one names the nearest") {
  const std::vector<RunConfig> two = with({"preset=[llama,gpt2]"});
  REQUIRE(two.size() == 2);
  CHECK(two[0].model.position == "rope");
  CHECK(two[1].model.position == "learned");
  CHECK(error_of([] { with({"preset=lama"}); }).find("Did you mean llama?") != std::string::npos);
}

TEST_CASE("a file may name a preset") {
  const TemporaryFolder folder;
  write_file(folder / "c.toml", "preset = \"qwen3\"\n[model]\nffn_ratio = 2.0\n");
  const RunConfig config = resolve({}, read_settings(folder / "c.toml")).at(0);
  CHECK(config.model.qk_norm);
  CHECK(config.model.ffn_ratio == 2.0);
}
