// Names what an op does to a profiler that listens (rung bench --profile), as "rung::attention".
#pragma once
#include <memory>

namespace at {
struct RecordFunction;
}

namespace rung {

// From construction to destruction, on this thread. The gradients of what record() (custom.h) takes
// down meanwhile go by the same name.
class Span {
 public:
  explicit Span(const char* name);
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  static const char* innermost();  // of this thread; "rung::op" outside all spans

 private:
  const char* outer_;
  std::unique_ptr<at::RecordFunction> function_;  // null while nobody listens
};

}  // namespace rung
