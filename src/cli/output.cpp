#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/table.h"

namespace rung {
namespace {

constexpr double redraw_seconds = 0.1, line_seconds = 10.0;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of the terminal behind a descriptor; `otherwise` where there is none or it does not say.
int terminal_columns(int descriptor, int otherwise) {
  winsize size{};
  return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : otherwise;
}

// Whether lines can be drawn anew. A dumb terminal (an editor's shell, some CI) shows the escape
// sequence that takes it as text.
bool redraws() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && !(term && std::strcmp(term, "dumb") == 0);
}

void print_out(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("[output] Cannot write to standard output: {}.", std::strerror(errno));
}

void print_error(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

Output::Output(bool json, bool quiet) : json_(json), quiet_(quiet), terminal_(redraws()) {
  if (!terminal_) last_ = now();
}

Output::~Output() {
  end_progress();
}

void Output::result(const Json& json, const std::string& text) {
  end_progress();
  // Names from the disk need not be UTF-8; a replaced letter is better than no result.
  if (json_) return print_out(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  const std::string lines = text.empty() || text.back() == '\n' ? text : text + "\n";
  const int columns = terminal_columns(STDOUT_FILENO, 0);
  print_out(columns > 0 ? fit_lines(lines, static_cast<size_t>(columns)) : lines);
}

void Output::text(const std::string& text) {
  if (json_) return;
  end_progress();
  print_out(text);
}

void Output::note(const std::string& line) {
  if (!quiet_) warn(line);
}

void Output::warn(const std::string& line) {
  end_progress();
  print_error(line + "\n");
}

void Output::progress(const Progress& progress) {
  if (quiet_) return;
  const double time = now();
  if (time - last_ < (terminal_ ? redraw_seconds : line_seconds)) return;
  last_ = time;
  if (terminal_) {
    print_error("\r" + progress_line(progress, terminal_columns(STDERR_FILENO, 100) - 1) +
                "\x1b[K");
    drawn_ = true;
  } else {
    print_error(progress_line(progress, 160, false) + "\n");
  }
}

void Output::end_progress() {
  if (drawn_) print_error("\r\x1b[K");
  drawn_ = false;
}

}  // namespace rung
