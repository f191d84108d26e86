// Tables as experiment trackers export them, from pieces of their column names and any cells: rows
// of points whose columns are of one length, or an Error. Needs clang:
//   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DRUNG_TORCH=OFF -DRUNG_FUZZ=ON
//   ninja -C build-fuzz exports_fuzz && build-fuzz/tests/fuzz/exports_fuzz -max_total_time=600
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "law/table.h"

using namespace rung;

namespace {

// Text from bytes that pick pieces, so that exports come about often.
std::string pieces(const uint8_t* data, size_t size, std::span<const std::string_view> choices) {
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] < 0xf0)
      text += choices[data[i] % choices.size()];
    else if (i + 1 < size)
      text += static_cast<char>(data[++i]);
  }
  return text;
}

constexpr std::string_view of_charts[] = {
    "Step", ",",    "a - loss", "a - loss__MIN", "a - loss__MAX", "b - loss",  "b - loss__MIN",
    "\n",   "1",    "-2.5e300", "b - loss__MAX", "a - _step",     " - ",       "__MIN",
    "\"",   "Step", ",",        "a - x",         "a - x__MIN",    "a - x__MAX"};
constexpr std::string_view of_scalars[] = {
    "[", "]", ",", "1", "-3.5e9", "\"NaN\"", "null", "{}", "[1,2,3]", "[[1,2,3],", " "};

void check(std::string_view bytes, TableFormat format) {
  try {
    const Table table = parse_table(bytes, format);
    for (const Column& column : table.columns) {
      if (column.values.size() != table.rows) std::abort();
      if (!column.text.empty() && column.text.size() != table.rows) std::abort();
    }
    for (size_t row = 0; row < table.rows; ++row)
      if (table.where(row).empty()) std::abort();
  } catch (const Error&) {
  }
}

}  // namespace

// First byte: a chart of Weights & Biases or a scalar of TensorBoard.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  if (data[0] % 2)
    check(pieces(data + 1, size - 1, of_charts), TableFormat::csv);
  else
    check(pieces(data + 1, size - 1, of_scalars), TableFormat::jsonl);
  return 0;
}
