#!/usr/bin/env bash
# The CUDA half on a machine with a GPU: builds it, runs its tests, the memory checker on the kernels,
# the throughput table and a time per kernel. Usage: bench/device_check.sh [build folder] [log folder]
# [stages: tests sanitizer bench profile]; each stage logs to its own file.
set -uo pipefail
cd "$(dirname "$0")/.."
build=${1:-build-gpu}
logs=${2:-$build/logs}
stages=${3:-tests sanitizer bench profile}
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
ninja -C "$build" -k0 gpu_step ops_test optim_test train_test >"$logs/build.log" 2>&1 ||
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

if wanted tests; then
  lines=40 run ops 100 "$build/tests/ops_test" --source-file='*cuda*' --duration=true
  lines=15 run optim 30 "$build/tests/optim_test" --source-file='*cuda*'
  lines=40 run train 100 "$build/tests/train_test" --source-file='*cuda*' --duration=true
fi
if wanted bench; then
  lines=20 run bench 150 "$build/gpu_step" "" -1 flash
  lines=4 run bench-cudnn 60 "$build/gpu_step" 124M 10 cudnn
fi
if wanted profile && command -v ncu >/dev/null; then
  for case in w64-p32 124M-p1; do
    run "profile-$case" 70 ncu --clock-control none --graph-profiling node --csv \
      --metrics gpu__time_duration.sum "$build/gpu_step" "$case" 0 flash
    python3 bench/kernel_times.py "$logs/profile-$case.log" | tee "$logs/kernels-$case.txt" | head -30
  done
fi
if wanted sanitizer && command -v compute-sanitizer >/dev/null; then
  lines=12 run memcheck 90 compute-sanitizer --tool memcheck "$build/tests/ops_test" \
    --source-file='*cuda*' --test-case='activations*,embeddings*,gains*,the step*'
fi
say "done"
