// Other names of columns that several procedures read.
#pragma once
#include <string_view>

namespace rung {

constexpr std::string_view lr_aliases[] = {"learning_rate", "peak_lr", "max_lr"};
constexpr std::string_view batch_aliases[] = {"batch_size", "batch", "bs", "batch_tokens"};

}  // namespace rung
