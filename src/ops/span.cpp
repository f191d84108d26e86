#include "ops/span.h"

#include <ATen/record_function.h>

namespace rung {
namespace {

const char*& current() {
  thread_local const char* name = "rung::op";
  return name;
}

}  // namespace

Span::Span(const char* name) : outer_(current()) {
  current() = name;
  if (auto listeners = at::getStepCallbacksUnlessEmpty(at::RecordScope::FUNCTION)) {
    function_ = std::make_unique<at::RecordFunction>(std::move(*listeners));
    function_->before(name);
  }
}

Span::~Span() {
  current() = outer_;
}

const char* Span::innermost() {
  return current();
}

}  // namespace rung
