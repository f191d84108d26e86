#!/usr/bin/env bash
# The CUDA half on a machine with a GPU: builds it, runs its tests, memcheck and racecheck on every kernel test,
# `rung bench` against its rival, and a time per kernel. Usage: bench/device_check.sh [build folder] [log folder]
# [stages: tests sanitizer bench attention profile]; each stage logs to its own file.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:-build-gpu}
logs=${2:-$build/logs}
stages=${3:-tests sanitizer bench attention profile}
python=${RUNG_PYTHON:-python3}
mkdir -p "$logs"
began=$SECONDS

say() { printf '[%4d s] %s\n' $((SECONDS - began)) "$*"; }
wanted() { [[ " $stages " == *" $1 "* ]]; }

say "configure"
deps=()
[ -d .deps ] && deps=(-DRUNG_DEPS="$PWD/.deps")
cmake -S . -B "$build" -G Ninja -DRUNG_CUDA=ON -DRUNG_TESTS=ON "${deps[@]}" >"$logs/configure.log" 2>&1 ||
  { cat "$logs/configure.log"; exit 1; }

say "build"
targets=()
wanted tests && targets+=(ops_test optim_test train_test study_test)
wanted sanitizer && targets+=(ops_test optim_test)
wanted bench && targets+=(rung)
{ wanted attention || wanted profile; } && targets+=(gpu_step)
ninja -C "$build" -k0 "${targets[@]}" >"$logs/build.log" 2>&1 ||
  { grep -E "error|FAILED|undefined" "$logs/build.log" | head -40; }

run() { # name, seconds, command...
  local name=$1 limit=$2
  shift 2
  say "$name"
  timeout "$limit" "$@" >"$logs/$name.log" 2>&1
  local status=$?
  tail -n "${lines:-6}" "$logs/$name.log"
  say "$name: exit $status"
}

# Two kernels with planted faults, named as ours are: they show that the filter lets ours through to the tools.
plant() {
  cat >"$build/planted.cu" <<'CUDA'
#include <cstdlib>
namespace rung::cuda {
namespace {
__global__ void race(int* out) {
  __shared__ volatile int shared;
  shared = threadIdx.x;
  out[threadIdx.x] = shared;
}
__global__ void overrun(int* out) { out[threadIdx.x + 1024] = 1; }
}  // namespace
}  // namespace rung::cuda
int main(int count, char** words) {
  int* out = nullptr;
  cudaMalloc(&out, 128 * sizeof(int));
  if (count > 1 && words[1][0] == 'r')
    rung::cuda::race<<<1, 128>>>(out);
  else
    rung::cuda::overrun<<<1, 128>>>(out);
  cudaDeviceSynchronize();
}
CUDA
  nvcc -std=c++17 -arch=sm_90 -o "$build/planted" "$build/planted.cu" >"$logs/planted.log" 2>&1
}

# sanitize NAME TOOL PROGRAM [ARGUMENT...]: our kernels only (the libraries' are many, and not ours to mend); exit 9 is
# a finding, 124 out of time.
sanitize() {
  local name=$1 tool=$2 status start=$SECONDS
  shift 2
  timeout 60 compute-sanitizer --tool "$tool" "$filter" kns=4rung4cuda --error-exitcode 9 "$@" >"$logs/$name.log" 2>&1
  status=$?
  printf '%-22s exit %3d  %3d s  %s | %s\n' "$name" "$status" $((SECONDS - start)) \
    "$(grep -E 'SUMMARY' "$logs/$name.log" | tail -n 1)" "$(grep -E 'test cases:' "$logs/$name.log" | tail -n 1)" \
    >"$logs/$name.summary"
}

# Every kernel test under both tools, a process a test and all at once: about a minute at most.
sanitizer_stage() {
  local tool program count i
  filter=--kernel-name
  compute-sanitizer --help | grep -q -- --kernel-name || filter=--kernel-regex
  rm -f "$logs"/*.summary
  plant && { sanitize planted-race racecheck "$build/planted" race & sanitize planted-overrun memcheck "$build/planted" overrun & }
  for tool in memcheck racecheck; do
    for program in ops optim; do
      count=$("$build/tests/${program}_test" --source-file='*cuda*' --count | sed -n 's/.*filters: *//p')
      for ((i = 1; i <= ${count:-0}; i++)); do
        sanitize "$tool-$program-$i" "$tool" "$build/tests/${program}_test" --source-file='*cuda*' --first="$i" --last="$i" &
      done
    done
  done
  wait
  cat "$logs"/*.summary
  for name in planted-race planted-overrun; do
    grep -q 'exit   9' "$logs/$name.summary" 2>/dev/null || say "$name was not found: the other results mean nothing"
  done
}

if wanted tests; then
  lines=40 run ops 100 "$build/tests/ops_test" --source-file='*cuda*' --duration=true
  lines=15 run optim 30 "$build/tests/optim_test" --source-file='*cuda*'
  lines=40 run train 100 "$build/tests/train_test" --source-file='*cuda*' --duration=true
  lines=10 run study 30 "$build/tests/study_test" --source-file='*cuda*'
fi
if wanted sanitizer && command -v compute-sanitizer >/dev/null; then
  say "sanitizer"
  sanitizer_stage
  say "sanitizer: done"
fi
if wanted bench; then
  # The table as text comes from the notes on standard error, one line a case.
  lines=40 run bench 600 bash -c "'$build/src/cli/rung' bench --device cuda --rival-python '$python' --json \
    >'$logs/bench.json'"
fi
if wanted attention; then
  for library in ordered any-order flash; do
    lines=4 run "attention-$library" 60 "$build/gpu_step" 124M 10 "$library"
  done
fi
if wanted profile && command -v ncu >/dev/null; then
  for case in w64-p32 124M; do
    run "profile-$case" 70 ncu --clock-control none --graph-profiling node --csv \
      --metrics gpu__time_duration.sum "$build/gpu_step" "$case" 0 flash
    python3 bench/kernel_times.py "$logs/profile-$case.log" | tee "$logs/kernels-$case.txt" | head -30
  done
fi
say "done"
