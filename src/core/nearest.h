// The name that someone who mistyped one probably meant.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rung {

// The candidate nearest to `word` by edit distance, or the one that other programs call so (`gpu`);
// empty when none is near. Candidates with a section (`train.lr`) are also compared without it.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

// How a line about an unknown word ends: " Did you mean Y?", or `otherwise` where none is near.
std::string suggestion(const std::string& word, const std::vector<std::string>& candidates,
                       const std::string& otherwise = {});

// The nearest of all, however far, one that begins with `name` first; empty only without
// candidates.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace rung
