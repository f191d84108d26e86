// Any bytes as CSV, TSV or JSON lines: a table or an Error, nothing else; the same for a filter
// over it. Needs clang:
//   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DRUNG_TORCH=OFF -DRUNG_FUZZ=ON
//   ninja -C build-fuzz table_fuzz && build-fuzz/tests/fuzz/table_fuzz -max_total_time=600
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "law/expression.h"
#include "law/table.h"

using namespace rung;

// First byte: the format. Up to the first zero byte: a filter. The rest: the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const auto format = static_cast<TableFormat>(data[0] % 3);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t zero = bytes.find('\0');
  const bool filtered = zero != std::string_view::npos;
  try {
    const Table table = parse_table(filtered ? bytes.substr(zero + 1) : bytes, format);
    for (const Column& column : table.columns) {
      if (column.values.size() != table.rows) std::abort();
      if (!column.text.empty() && column.text.size() != table.rows) std::abort();
    }
    if (filtered)
      for (const size_t row : filter_rows(table, bytes.substr(0, zero)))
        if (row >= table.rows) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
