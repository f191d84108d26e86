#!/bin/bash
# The root script's set-up, without network and in seconds: a copy of the script whose tools (apt-get, pip, cmake, ninja)
# are stubs that log how they are called. Usage: setup_tests.sh SOURCE_FOLDER
source_folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$source_folder/tests/cli/expect.sh"
unset RUNG_CACHE XDG_CACHE_HOME RUNG_TORCH_ROOT RUNG_JOBS
export HOME=$work/home RUNG_CUDA=0 RUNG_DEPS=$work/deps stubs=$work/stubs
mkdir -p "$work"/{tree,home,bin,stubs} && cd "$work/tree" || exit 1
cp -r "$source_folder/rung" . && mkdir cmake && cp -r "$source_folder/cmake/setup" cmake/
cache=$HOME/.cache/rung torch=$HOME/.cache/rung/torch-2.11.0

# All that the script may find: the tools of a bare system, stubs, and headers in RUNG_DEPS.
for tool in awk bash cat chmod cp cut dirname du env grep head mkdir mktemp mv nproc rm sed sort tail tee touch tr; do
  ln -s "$(command -v $tool)" "$work/bin/$tool"
done
for header in fmt/format.h toml++/toml.h CLI/CLI.hpp nlohmann/json.hpp Eigen/Dense doctest/doctest.h zlib.h lzma.h zstd.h \
  sentencepiece_trainer.h unicode/uregex.h; do
  mkdir -p "deps/include/$(dirname $header)" && : >"deps/include/$header"
done
mkdir -p deps/share && : >deps/share/chart.min.js && mv deps "$work/deps"

# stub NAME: its body is read from stdin and runs behind the line that logs the call.
stub() { { printf '#!/bin/bash\necho "%s $*" >>"$stubs/calls"\n' "$1" && cat; } >"$work/bin/$1" && chmod +x "$work/bin/$1"; }
stub g++ </dev/null
stub ccache </dev/null
stub sudo <<<'[ "$1" = -n ] && shift; exec "$@"'
stub apt-get <<'STUB'
[ -e "$stubs/no-packages" ] && { echo 'E: Unable to fetch some archives' >&2; exit 100; }
case " $* " in *' ninja-build '*) mv "$stubs/ninja" "$(dirname "$0")/ninja" ;; esac
exit 0
STUB
# The first attempts as many as $stubs/torn says break off in the middle of a wheel.
stub python3 <<'STUB'
case "$*" in
  '-m pip --version') exit 0 ;;
  '-m pip install '*) ;;
  *) exit 1 ;; # no torch of its own
esac
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/torch/lib"
torn=$(cat "$stubs/torn" 2>/dev/null || echo 0)
if [ "$torn" -gt 0 ]; then
  echo $((torn - 1)) >"$stubs/torn"
  [ -e "$stubs/silent" ] && exit 0
  echo 'ERROR: Connection broken' && exit 1
fi
touch "$2/torch/lib/libtorch_cpu.so"
STUB
stub cmake <<'STUB'
[ -e "$stubs/no-configure" ] && { echo 'CMake Error: no compiler'; exit 1; }
while [ "$1" != -B ]; do shift; done
touch "$2/build.ninja"
for option; do case $option in -D*) echo "${option#-D}" | sed 's/=/:STRING=/' ;; esac; done >"$2/CMakeCache.txt"
STUB
stub ninja <<'STUB'
[ -e "$stubs/no-build" ] && { echo 'x.cpp:1: error: nothing compiles'; exit 1; }
program=$2/src/cli/${*: -1}
[ -e "$program" ] && { echo 'ninja: no work to do.'; exit 0; }
echo '[1/1] Linking' && mkdir -p "$2/src/cli"
printf '#!/bin/bash\necho "%s ran: $*"\n' "${program##*/}" >"$program" && chmod +x "$program"
STUB

run() { : >"$stubs/calls" && PATH=$work/bin ./rung "$@"; }
calls() { grep -Ec -- "$1" "$stubs/calls"; }
fresh() { rm -rf build build-law "$cache" "$stubs"/{torn,silent,no-*}; }

# From nothing: the wheel, configure and build, each a line with its time; then the verb.
expect 0 '^rung ran: audit --set a=1$' 'LibTorch: fetching the 2.11.0 wheel' run audit --set a=1
check "steps without times: $(cat "$work/err")" [ "$(grep -Ec '^rung: (LibTorch|configure|build) +[0-9.]+ s ' "$work/err")" = 3 ]
check "the wheel's folder" [ -f "$torch/torch/lib/libtorch_cpu.so" ]
check "configured for another torch" grep -q "^TORCH_ROOT:STRING=$torch/torch$" build/CMakeCache.txt
check "packages were installed though none was missing" [ "$(calls apt-get)" = 0 ]

# Nothing is missing: nothing is installed, fetched or configured, and nothing is said.
touch "$stubs/no-packages" "$stubs/no-configure" && echo 9 >"$stubs/torn"
expect 0 '^rung ran: audit$' '' run audit
check "calls of a finished set-up: $(cat "$stubs/calls")" [ "$(calls '^(apt-get|python3|cmake)')" = 0 ]
rm "$stubs"/no-* "$stubs/torn"

# The laws' verbs use that build; without one they are built alone, and no wheel is fetched.
expect 0 '^rung-law ran: laws$' 'build: rung-law' run laws
fresh
expect 0 '^rung-law ran: fit a.csv$' 'build-law: rung-law' run fit a.csv
check "LibTorch for a law" [ ! -e "$torch" ]
check "a law with LibTorch" grep -q '^RUNG_TORCH:STRING=OFF$' build-law/CMakeCache.txt

# A download that breaks off is tried again from the start; a partial folder never takes the wheel's name.
fresh && echo 2 >"$stubs/torn"
mkdir -p "$torch.partial.999999999" "$torch.partial.$$"
expect 0 '^rung ran: audit$' 'attempt 2 failed, trying again .ERROR: Connection broken' run audit
check "the remains of a dead run" [ ! -e "$torch.partial.999999999" ]
check "a living run's download was removed" [ -d "$torch.partial.$$" ]
check "own remains: $(ls -d "$cache"/*.partial.*)" [ "$(ls -d "$cache"/*.partial.* | wc -l)" = 1 ]
for silent in '' yes; do # pip that fails, and pip that ends well with half a wheel
  fresh && echo 9 >"$stubs/torn"
  [ -n "$silent" ] && touch "$stubs/silent"
  expect 1 '' '^\[setup\] LibTorch could not be fetched: .*Check the network and run again, or set RUNG_TORCH_ROOT' run audit
  check "half a wheel was kept: $(ls "$cache")" [ -z "$(ls -d "$torch"* 2>/dev/null)" ]
  check "configured without LibTorch" [ "$(calls cmake)" = 0 ]
done
fresh
RUNG_TORCH_ROOT=/nowhere expect 1 '' '^\[setup\] RUNG_TORCH_ROOT holds no lib/libtorch_cpu.so. Received /nowhere' run audit

# Another cache, another torch: configured anew. Failures name their log, and the next run goes on from there.
fresh && run audit >/dev/null 2>&1
rm -rf "$torch"
expect 0 '^rung ran: audit$' 'LibTorch: fetching' run audit
touch "$stubs/no-build"
expect 1 '' '^\[build\] rung could not be built in build. Details: .*build/build.log' run audit
fresh && touch "$stubs/no-configure"
expect 1 '' '^\[setup\] CMake could not configure build. Details: .*build/configure.log' run audit
rm "$stubs/no-configure"
expect 0 '^rung ran: audit$' 'configure' run audit

# Packages: what is missing is installed by its Debian name; where that fails the line says what to do.
fresh && mv "$work/bin/ninja" "$stubs/ninja" && touch "$stubs/no-packages"
expect 1 '' '^\[setup\] Packages are missing and could not be installed: ninja-build. Run: apt-get install ninja-build' run audit
rm "$stubs/no-packages"
expect 0 '^rung ran: audit$' 'packages: installing ninja-build$' run audit
check "more was installed: $(cat "$stubs/calls")" [ "$(calls "^apt-get .*install .* ninja-build\$")" = 1 ]

# Where LibTorch cannot be kept, and no home.
fresh
RUNG_CACHE=/proc/none expect 1 '' '^\[setup\] LibTorch is kept in a folder that cannot be written. Received /proc/none. Set RUNG_CACHE to another.$' run audit
check "more than one line: $(cat "$work/err")" [ "$(wc -l <"$work/err")" = 1 ]
RUNG_CACHE='' XDG_CACHE_HOME='' expect 0 'Rung trains small language models' '' env -u HOME ./rung help
fresh && run audit >/dev/null 2>&1

# The line that shows how far a build is fits its terminal: what wraps is not wiped whole.
expect 0 'rung: build  .1/2' '' on_terminal 40 bash -c 'for part in say build; do source cmake/setup/$part.sh; done
  echo "[1/2] Building CXX object src/law/CMakeFiles/rung_law.dir/Unity/unity_0_cxx.cxx.o" | show_progress'
check "a build line of more than 39 columns" [ "$(widest "$work/out")" -le 39 ]

# Usage of the script itself.
expect 2 '' 'Rung trains small language models' run
expect 0 'Rung trains small language models' '' run help
expect 0 '^rung-law ran: fit --help$' 'build: rung-law' run help fit
expect 0 '^rung ran: bench --help$' '' run bench --help
for own in setup test deps; do
  expect 0 'Rung trains small language models' '' run $own --help
  expect 0 'Rung trains small language models' '' run help $own
done
check "a folder of the name of an option" [ ! -e ./--help ]
printf '#!/bin/bash\nprintf "rung: x\\n\\nclimb\\n  climb  does it all\\n"\n' >build/src/cli/rung
expect 0 '^  climb  does it all$' '' run help
rm build/src/cli/rung
expect 0 '^Verbs: climb verify' '' run help
expect 2 '' '^\[test\] Unknown option. Received --fast' run test --fast
expect 2 '' '^\[deps\] A folder is missing' run deps
expect 1 '' '^\[deps\] The folder cannot be written. Received /proc/none.$' run deps /proc/none
expect 0 '' 'deps .*gathered' run deps "$work/gathered"
check "a dependency is missing" [ -f "$work/gathered/include/Eigen/Dense" -o -d "$work/gathered/include/eigen3" ]

echo "$checks checks, $failures failures"
[ $failures = 0 ]
