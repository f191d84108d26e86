#include "cli/interrupt.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace rung {
namespace {

std::atomic<int> received{0};
std::atomic<int64_t> received_at{0};  // milliseconds
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "the handler may only touch lock-free state");

int64_t milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{1000} * now.tv_sec + now.tv_nsec / 1'000'000;
}

// Only a second Ctrl-C asks to end at once. Whoever stops a job often sends a signal twice (GNU
// timeout to the process and its group, a scheduler to a step and its tasks): SIGTERM may come any
// number of times, and a SIGINT sooner than a hand repeats it is the same one.
void handle(int signal) {
  constexpr int64_t same_press = 100;
  if (received.load() == 0) {
    received_at.store(milliseconds());
    received.store(signal);
  } else if (signal == SIGINT && milliseconds() - received_at.load() >= same_press) {
    _exit(128 + signal);
  }
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  sigaddset(&action.sa_mask, SIGHUP);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A terminal that goes away; under nohup it is ignored and stays so.
  struct sigaction hangup {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
}

bool interrupted() {
  return received.load(std::memory_order_relaxed) != 0;
}

int interrupt_status() {
  const int signal = received.load(std::memory_order_relaxed);
  return signal == 0 ? 0 : 128 + signal;
}

}  // namespace rung
