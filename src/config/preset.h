// Published blocks as bundles of settings. A preset is what a block is made of; sizes, data and
// training stay as configured.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "config/config.h"

namespace rung {

// What names one among settings: not a field, for the fields that it sets are written out.
inline constexpr std::string_view preset_key = "preset";

struct PresetSetting {
  std::string_view key, value;
};

struct Preset {
  std::string_view name, summary;
  std::span<const PresetSetting> settings;
};

std::span<const Preset> presets();

// Applies a preset to the configuration. Fails (usage), naming the nearest of the table.
void apply_preset(RunConfig& config, const std::string& name);

}  // namespace rung
