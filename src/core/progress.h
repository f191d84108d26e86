// One line of progress as a pure function; src/cli decides whether, where and how often it is
// shown.
#pragma once
#include <string>
#include <string_view>

namespace rung {

struct Progress {
  std::string label = {};     // what is being done, such as "ladder w128"
  double done = 0.0;          // in `unit`
  double total = 0.0;         // 0: not known
  double seconds = 0.0;       // since the start
  double loss = 0.0;          // nats per token; not above 0: left out
  std::string unit = "tok";   // empty: how much is not said where `total` is not known
  double resumed_from = 0.0;  // part of `done` that an earlier process did; left out of the rate
  // What this is a part of, such as "climb" (empty: nothing larger): the share of it that is done,
  // from 0 to 1, and its seconds left, which are then shown in place of the part's.
  std::string whole = {};
  double whole_share = 0.0, whole_left = -1.0;  // below 0: not known yet
};

// `label [#####.....]  42 % 1.3M/3.0M tok, 25.1k tok/s, 1:08 left, loss 3.1416`, at most `columns`
// wide. With bar = false (log lines) the bar is left out. A part ends with its whole:
// `..., loss 3.1416; climb 12 %, 3:05 left`; amounts give way where a terminal is narrow.
std::string progress_line(const Progress& progress, int columns = 100, bool bar = true);

// 950, 1.30k, 25.1M, 3.00G: three digits and a decimal prefix.
std::string short_number(double value);
// With a unit: 950 B, 25.1 MB, 189 GFLOP/s.
std::string short_amount(double value, std::string_view unit);
// 9.5 s below 10 s, 42 s, 1:08, 2:03:04.
std::string short_seconds(double seconds);

}  // namespace rung
