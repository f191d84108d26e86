# LibTorch: the one that python3 already has, else its wheel, kept outside the tree.
torch_version=2.11.0

# The folder of the torch package that python3 would import, if its version fits. Nothing is imported.
python_torch() {
  command -v python3 >/dev/null || return 1
  python3 - "$torch_version" <<'PY' 2>/dev/null
import importlib.util, pathlib, re, sys
spec = importlib.util.find_spec("torch")
folder = pathlib.Path(spec.submodule_search_locations[0])
version = re.search(r"__version__ = '([0-9.]+)", (folder / "version.py").read_text()).group(1).rstrip(".")
ready = version == sys.argv[1] and (folder / "lib/libtorch_cpu.so").exists() and (folder / "include/ATen/Tensor.h").exists()
print(folder) if ready else sys.exit(1)
PY
}

# install_wheels FOLDER PIP-ARGUMENT...: into a temporary folder beside FOLDER, renamed when complete, so that an
# interrupted download leaves nothing half done.
install_wheels() {
  local folder=$1 attempt
  shift
  mkdir -p "$cache" || return 1
  local partial=$folder.partial.$$
  for attempt in 1 2 3; do
    rm -rf "$partial"
    mkdir -p "$partial/tmp"
    TMPDIR=$partial/tmp python3 -m pip install -q --disable-pip-version-check --no-input --no-cache-dir --no-compile \
      --root-user-action=ignore --target "$partial/site" "$@" >"$cache/pip.log" 2>&1 && break
    ((attempt < 3)) && say "LibTorch: attempt $attempt failed, trying again ($(tail -n 1 "$cache/pip.log" | cut -c1-120))"
  done
  if [[ ! -f $partial/site/torch/lib/libtorch_cpu.so ]]; then
    rm -rf "$partial"
    return 1
  fi
  rm -rf "$folder" "$partial/tmp"
  mv "$partial/site" "$folder" && rm -rf "$partial"
}

# Folders that a killed run left behind; those of living runs stay.
sweep_partials() {
  local folder
  for folder in "$cache"/*.partial.*; do
    # A zombie's command line is empty; kill -0 would take it for alive.
    [[ -d $folder && -z $(tr -d '\0' 2>/dev/null <"/proc/${folder##*.}/cmdline") ]] && rm -rf "$folder"
  done
  return 0
}

# Sets torch_root. CUDA=1 asks for the full wheel, with cuBLAS, cuDNN and NCCL.
need_torch() {
  local cuda=$1 folder=$cache/torch-$torch_version
  ((cuda)) && folder+=-cuda
  torch_root=${RUNG_TORCH_ROOT:-}
  if [[ -n $torch_root ]]; then
    [[ -f $torch_root/lib/libtorch_cpu.so ]] && return 0
    refuse setup "RUNG_TORCH_ROOT holds no lib/libtorch_cpu.so. Received $torch_root."
    return 1
  fi
  torch_root=$folder/torch
  [[ -f $torch_root/lib/libtorch_cpu.so ]] && return 0
  start_clock
  torch_root=$(python_torch) && return 0
  if ! mkdir -p "$cache" 2>/dev/null || [[ ! -w $cache ]]; then
    refuse setup "LibTorch is kept in a folder that cannot be written. Received $cache. Set RUNG_CACHE to another."
    return 1
  fi
  sweep_partials
  if ! python3 -m pip --version >/dev/null 2>&1; then
    say "packages: installing python3-pip"
    apt_install 30 python3-pip || { refuse setup "pip is missing. Run: apt-get install python3-pip"; return 1; }
  fi
  local wheels=(--no-deps "torch==$torch_version" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
  ((cuda)) && wheels=("torch==$torch_version")
  say "LibTorch: fetching the $torch_version wheel into $folder"
  if ! install_wheels "$folder" "${wheels[@]}"; then
    refuse setup "LibTorch could not be fetched: $(grep -v '^$' "$cache/pip.log" | tail -n 1 | cut -c1-200). Check the\
 network and run again, or set RUNG_TORCH_ROOT; details: $cache/pip.log"
    return 1
  fi
  torch_root=$folder/torch
  done_with LibTorch "$(du -sh "$folder" 2>/dev/null | cut -f1)"
}

# An environment with all of PyTorch for rivals; `interchange` adds transformers. Sets rival.
rival_environment() {
  local extra=${1:-} packages=("torch==$torch_version" numpy)
  rival=$cache/rival-$torch_version${extra:+-$extra}
  [[ -f $rival/.complete ]] && return 0
  [[ $extra == interchange ]] && packages+=(transformers accelerate safetensors sentencepiece protobuf tensorboard)
  start_clock
  say "rivals: making $rival"
  local flags=()
  python_torch >/dev/null && flags=(--system-site-packages)
  if ! python3 -m venv --clear "${flags[@]}" "$rival" >"$cache/rival.log" 2>&1; then
    apt_install 30 python3-venv && python3 -m venv --clear "${flags[@]}" "$rival" >"$cache/rival.log" 2>&1 || {
      refuse setup "A Python environment could not be made. Run: apt-get install python3-venv; details: $cache/rival.log"
      return 1
    }
  fi
  if ! "$rival/bin/python" -m pip install -q "${packages[@]}" >>"$cache/rival.log" 2>&1; then
    refuse setup "The rivals' packages could not be fetched: ${packages[*]}. Details: $cache/rival.log"
    return 1
  fi
  touch "$rival/.complete"
  done_with rivals "$rival"
}
