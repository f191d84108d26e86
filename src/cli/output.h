// What a verb says: results on stdout (text, or one JSON object), chatter and progress on stderr.
#pragma once
#include <string>

#include "core/json.h"
#include "core/progress.h"

namespace rung {

// Columns of the terminal behind a descriptor (1: stdout, 2: stderr); 0 where there is none.
size_t terminal_width(int descriptor);

// Lines broken to fit that terminal (fit_lines); as they are where there is none.
std::string fit_terminal(int descriptor, const std::string& text);

class Output {
 public:
  Output(bool json, bool quiet);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // The verb's result: `json` with --json, else `text` (a newline is added when it lacks one).
  void result(const Json& json, const std::string& text);
  // Text on stdout without --json; nothing with it. For results that come piece by piece
  // (generate).
  void text(const std::string& text);
  // One line on stderr, broken to fit a terminal; nothing with --quiet. The progress bar is wiped
  // first.
  void note(const std::string& line);
  // One line on stderr, also with --quiet.
  void warn(const std::string& line);
  // A bar redrawn at most 10 times a second on a terminal, else a line every 10 s; nothing with
  // --quiet.
  void progress(const Progress& progress);
  void end_progress();  // wipes the bar

  bool json() const { return json_; }

 private:
  bool json_, quiet_, terminal_, drawn_ = false;
  double last_ = -1e300;  // seconds of the last progress line
};

}  // namespace rung
