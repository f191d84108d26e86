// Small tables with any grouping columns through `--by`: every row in one group, every group
// fitted, refused or named as failed, and all of it found again in the file. Needs clang:
//   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DRUNG_TORCH=OFF -DRUNG_FUZZ=ON
//   ninja -C build-fuzz groups_fuzz && build-fuzz/tests/fuzz/groups_fuzz -max_total_time=600
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "law/fit_groups.h"
#include "law/fit_json.h"

using namespace rung;

namespace {

// A label of any bytes, a number among them sometimes.
std::string label(uint8_t choice) {
  constexpr std::string_view labels[] = {"a",   "b",   "1",  "1.0",  "",
                                         "a=b", "a,b", "\"", "\xff", "nan"};
  return std::string(labels[choice % std::size(labels)]);
}

}  // namespace

// Byte 0: how many columns group, and the objective; then 8 bytes a row: two labels, a size and a
// loss of two bytes, and whether they are any bits at all.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 + 8) return 0;
  const size_t rows = std::min<size_t>((size - 1) / 8, 32);
  Column first{.name = "task"}, second{.name = "model"};
  std::vector<double> x, loss;
  for (size_t row = 0; row < rows; ++row) {
    const uint8_t* at = data + 1 + 8 * row;
    uint16_t a = 0, b = 0;
    std::memcpy(&a, at + 2, sizeof a), std::memcpy(&b, at + 4, sizeof b);
    const bool wild = at[6] == 0;
    x.push_back(wild ? std::nan("") : 1e6 * std::exp(a / 8192.0));
    loss.push_back(wild ? -1.0 : std::exp(b / 32768.0));
    for (const auto& [column, choice] : {std::pair{&first, at[0]}, std::pair{&second, at[1]}}) {
      column->text.push_back(label(choice));
      column->values.push_back(std::nan(""));
    }
  }
  Table table;
  table.add("x", std::move(x));
  table.add("L", std::move(loss));
  table.columns.push_back(std::move(first)), table.columns.push_back(std::move(second));
  constexpr const char* objectives[] = {"huber-log", "least-squares", "raw-least-squares"};
  FitOptions options{.law = "power", .objective = objectives[data[0] / 2 % 3]};
  options.bootstrap = data[0] & 0x40 ? 2 : 0;
  options.refuse = !(data[0] & 0x80);
  options.threads = 1;
  std::vector<std::string> by{"task"};
  if (data[0] % 2) by.push_back("model");
  try {
    const GroupFits fits = fit_groups(table, by, options);
    size_t fitted = 0;
    for (const GroupFit& group : fits.groups) {
      if (group.values.size() != by.size()) std::abort();
      fitted += group.error.empty() && !group.fit.refused();
    }
    if (fitted != fits.fitted()) std::abort();
    const Json json =
        Json::parse(groups_to_json(fits).dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!holds_groups(json)) std::abort();
    for (const GroupFit& group : fits.groups) {
      try {
        find_group(json, "task=" + group.values[0], "fits.json");
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
