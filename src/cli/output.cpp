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

size_t terminal_width(int descriptor) {
  winsize size{};
  return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string fit_terminal(int descriptor, const std::string& text) {
  const size_t columns = terminal_width(descriptor);
  return columns > 0 ? fit_lines(text, columns) : text;
}

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
  print_out(fit_terminal(STDOUT_FILENO, lines));
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
  print_error(fit_terminal(STDERR_FILENO, line + "\n"));
}

void Output::progress(const Progress& progress) {
  if (quiet_) return;
  const double time = now();
  if (time - last_ < (terminal_ ? redraw_seconds : line_seconds)) return;
  last_ = time;
  if (terminal_) {
    const auto columns = static_cast<int>(terminal_width(STDERR_FILENO));
    print_error("\r" + progress_line(progress, columns > 0 ? columns - 1 : 99) + "\x1b[K");
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
