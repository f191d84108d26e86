# Configure and build. build/ holds everything, build-law/ the torch-free program; a stamp remembers what was set up.

jobs_count() { printf '%s' "${RUNG_JOBS:-$(nproc 2>/dev/null || echo 2)}"; }

# 1 where a CUDA build is asked for, or where nvcc and a working GPU are present.
want_cuda() {
  [[ -n ${RUNG_CUDA:-} ]] && { [[ $RUNG_CUDA != 0 ]] && printf 1 || printf 0; return; }
  [[ -e /dev/nvidiactl ]] && find_nvcc >/dev/null && nvidia-smi -L >/dev/null 2>&1 && printf 1 || printf 0
}

find_nvcc() {
  command -v nvcc || { [[ -x /usr/local/cuda/bin/nvcc ]] && printf '/usr/local/cuda/bin/nvcc'; }
}

# Everything that decides how a folder is configured; read without starting a process.
setup_key() {
  local gpu=0
  [[ -e /dev/nvidiactl ]] && gpu=1
  printf '2 root=%s deps=%s cuda=%s gpu=%s torch=%s cache=%s' "$root" "${RUNG_DEPS:-}" "${RUNG_CUDA:-auto}" "$gpu" \
    "${RUNG_TORCH_ROOT:-}" "$cache"
}

# The stamp: key, how far tests are configured (1, with the Python module 2), the torch folder. True when it still holds.
is_prepared() {
  local folder=$1 tests=$2 key='' had_tests='' torch=''
  local stamp=$root/$folder/.rung-setup
  [[ -f $stamp && -f $root/$folder/build.ninja ]] || return 1
  { IFS= read -r key && IFS= read -r had_tests && IFS= read -r torch; } <"$stamp"
  [[ $key == "$(setup_key)" ]] || return 1
  ((had_tests >= tests)) || return 1
  [[ -z $torch || -f $torch/lib/libtorch_cpu.so ]] || return 1
  torch_root=$torch
}

# prepare FOLDER [TESTS]: packages, LibTorch and CMake configure, unless the stamp says that all of it was done.
prepare() {
  local folder=$1 tests=${2:-0} cuda=0
  torch_root=''
  is_prepared "$folder" "$tests" && return 0
  local needs=(all)
  ((tests)) && needs+=(test)
  [[ $folder == build-law ]] || needs+=(torch)
  need_packages "${needs[@]}" || return 1
  local options=(-DRUNG_TORCH=OFF)
  if [[ $folder != build-law ]]; then
    cuda=$(want_cuda)
    need_torch "$cuda" || return 1
    options=(-DRUNG_TORCH=ON "-DTORCH_ROOT=$torch_root" "-DRUNG_CUDA=$( ((cuda)) && echo ON || echo OFF)")
    ((cuda)) && options+=("-DCMAKE_CUDA_COMPILER=$(find_nvcc)")
  fi
  ((tests)) && options+=(-DRUNG_TESTS=ON)
  options+=("-DRUNG_PYTHON=$( ((tests >= 2)) && echo ON || echo OFF)")
  ((tests >= 2)) && options+=("-DPython_EXECUTABLE=$python_env/bin/python")
  options+=("-DRUNG_DEPS=${RUNG_DEPS:-}" "-DRUNG_CHART_JS=$(find_chart)")
  configure "$folder" "${options[@]}" || return 1
  local had=$tests
  ((had == 0)) && grep -q '^RUNG_TESTS:BOOL=ON' "$root/$folder/CMakeCache.txt" && had=1
  printf '%s\n%s\n%s\n' "$(setup_key)" "$had" "$torch_root" >"$root/$folder/.rung-setup"
}

# configure FOLDER OPTION...: starts afresh where the folder was configured for another place or another torch.
configure() {
  local folder=$1 log=$root/$1/configure.log
  shift
  start_clock
  mkdir -p "$root/$folder" || return 1
  if [[ -f $root/$folder/CMakeCache.txt ]]; then
    local home torch
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$root/$folder/CMakeCache.txt")
    torch=$(sed -n 's/^TORCH_ROOT:[A-Z]*=//p' "$root/$folder/CMakeCache.txt")
    [[ $home == "$root" && (-z $torch || -z $torch_root || $torch == "$torch_root") ]] ||
      rm -rf "$root/$folder/CMakeCache.txt" "$root/$folder/CMakeFiles"
  fi
  if ! cmake -S "$root" -B "$root/$folder" -G Ninja "$@" >"$log" 2>&1; then
    grep -A 6 -m 2 'CMake Error' "$log" >&2
    refuse setup "CMake could not configure $folder. Details: $log"
    return 1
  fi
  done_with configure "$folder"
}

# Ninja's output as one moving line on a terminal; everything that is not progress (errors) is shown as it is.
show_progress() {
  local line tty=0 columns=''
  [[ -t 2 && $quiet == 0 ]] && tty=1
  # A line that wraps is not wiped whole. Where the terminal does not say how wide it is, 80.
  ((tty)) && read -r _ columns < <(stty size <&2 2>/dev/null)
  ((${columns:-0} > 20)) || columns=80
  while IFS= read -r line; do
    case $line in
      '['[0-9]*/*) ((tty)) && printf '\r\033[Krung: build  %.*s' $((columns - 14)) "$line" >&2; worked=1 ;;
      'ninja: no work to do.' | 'ninja: Entering'* | '-- '* | '') ;;
      *) ((tty)) && printf '\r\033[K' >&2; printf '%s\n' "$line" >&2 ;;
    esac
  done
  ((tty)) && printf '\r\033[K' >&2
  return 0
}

# build_target FOLDER TARGET...: says nothing when there was nothing to do.
build_target() {
  local folder=$1
  shift
  start_clock
  local log=$root/$folder/build.log
  ninja -C "$root/$folder" -j "$(jobs_count)" "$@" 2>&1 | tee "$log" | show_progress
  if ((PIPESTATUS[0] != 0)); then
    refuse build "$* could not be built in $folder. Details: $log"
    return 1
  fi
  grep '^\[[0-9]' "$log" | grep -qv 'Re-checking globbed' && done_with build "$folder: $*"
  return 0
}
