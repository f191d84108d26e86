// The boundary to Python: thin. Tables come in as buffers, results go out as JSON texts and as
// buffers; what people see is written in Python (python/src/rung).
#pragma once
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/json.h"

namespace rung {

namespace py = pybind11;

// Numbers that NumPy looks at in place: numpy.asarray(numbers) copies nothing.
struct Numbers {
  std::vector<double> values{};
  size_t rows = 0, columns = 0;  // columns 0: one-dimensional
};

inline Numbers line_of(std::vector<double> values) {
  const size_t rows = values.size();
  return {std::move(values), rows, 0};
}

// Names from the disk need not be UTF-8; a replaced letter is better than no result.
inline std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Runs `work` without the interpreter's lock. `work` gets what it may poll between pieces: true
// once Python has a signal to raise (Ctrl-C), which is then raised here.
template <class Work>
auto run_unlocked(Work&& work) {
  struct Watch {
    std::thread::id caller = std::this_thread::get_id();
    std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
    std::atomic<bool> stop = false;
    std::optional<py::error_already_set> error{};

    // Python handles signals in its main thread only, so the other threads follow the caller.
    bool poll() {
      if (stop || std::this_thread::get_id() != caller) return stop;
      const auto now = std::chrono::steady_clock::now();
      if (now - last < std::chrono::milliseconds(50)) return false;
      last = now;
      const py::gil_scoped_acquire lock;
      if (PyErr_CheckSignals() == 0) return false;
      error.emplace();
      return stop = true;
    }
  } watch;
  try {
    const py::gil_scoped_release unlock;
    return work([&watch] { return watch.poll(); });
  } catch (...) {
    if (watch.error) throw std::move(*watch.error);
    throw;
  }
}

void bind_table(py::module_& module);    // Table, Numbers, tables of laws
void bind_fit(py::module_& module);      // FitOptions, Forms, fit, load
void bind_answers(py::module_& module);  // predict, predict_table, report
void bind_plan(py::module_& module);     // PlanOptions, plan

}  // namespace rung
