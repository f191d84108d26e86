// The draws of the multi-start study that are done, by set. Those of a file are read, and new ones
// appended as they come about, so that the study can be done in parts.
#pragma once
#include <fmt/format.h>

#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "multistart_reference.h"

namespace rung {

struct Outcome {
  double excess = 0.0;  // of the fitter's objective over the reference's, relative
  Reference reference;
};

class Record {
 public:
  // No name, no file. Draws of another effort are left aside.
  Record(const std::string& file, const Effort& effort)
      : effort_(fmt::format("{} of {}{}{}", effort.thorough, effort.starts,
                            effort.lead > 0 ? fmt::format(", led by {}", effort.lead) : "",
                            effort.verify ? ", verified" : "")) {
    if (file.empty()) return;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) read(line);
    file_.open(file, std::ios::app);
  }
  bool has(const std::string& label, size_t draw) const {
    const auto set = done_.find(label);
    return set != done_.end() && set->second.contains(draw);
  }
  const std::map<size_t, Outcome>& of(const std::string& label) { return done_[label]; }
  void add(const std::string& label, size_t draw, const Outcome& outcome) {
    const std::lock_guard lock(guard_);
    done_[label][draw] = outcome;
    if (!file_.is_open()) return;
    const Reference& r = outcome.reference;
    file_ << fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", effort_, label, draw, outcome.excess,
                         r.share, r.merged, r.strayed, r.hidden)
          << std::flush;
  }

 private:
  void read(const std::string& line) {
    std::vector<std::string> cells(1);
    for (const char c : line) {
      if (c == '\t')
        cells.emplace_back();
      else
        cells.back() += c;
    }
    if (cells.size() != 8 || cells[0] != effort_) return;
    const Reference reference{.share = std::stod(cells[4]),
                              .merged = std::stoi(cells[5]),
                              .strayed = std::stoi(cells[6]),
                              .hidden = std::stoi(cells[7])};
    done_[cells[1]][std::stoull(cells[2])] = {std::stod(cells[3]), reference};
  }

  std::string effort_;
  std::map<std::string, std::map<size_t, Outcome>> done_;
  std::ofstream file_;
  std::mutex guard_;
};

}  // namespace rung
