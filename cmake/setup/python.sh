# The environment in which the Python package is built and tested, kept outside the tree.

# Sets python_env. Without it (no network, no headers) the package's tests are skipped, with the reason.
python_environment() {
  local version packages=(pybind11 scikit-build-core numpy pandas pytest mypy)
  version=$(python3 -c 'import sys; sys.version_info >= (3, 10) and print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
  if [[ -z $version ]]; then
    say "python: skipped: python3 is absent or older than 3.10"
    return 1
  fi
  python_env=$cache/python-1-$version
  [[ -f $python_env/.complete && -x $python_env/bin/python ]] && { need_tensorboard; return 0; }
  start_clock
  local log=$cache/python.log headers
  headers='import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
  mkdir -p "$cache"
  if ! python3 -c "$headers" && ! { apt_install 30 python3-dev && python3 -c "$headers"; }; then
    say "python: skipped: Python's headers are absent (apt-get install python3-dev)"
    return 1
  fi
  if ! python3 -m venv --clear "$python_env" >"$log" 2>&1 &&
    ! { apt_install 30 python3-venv && python3 -m venv --clear "$python_env" >"$log" 2>&1; }; then
    say "python: skipped: no environment could be made (apt-get install python3-venv); details: $log"
    return 1
  fi
  if ! "$python_env/bin/python" -m pip install -q --disable-pip-version-check --retries 2 "${packages[@]}" >>"$log" 2>&1; then
    say "python: skipped: ${packages[*]} could not be fetched; details: $log"
    return 1
  fi
  touch "$python_env/.complete"
  need_tensorboard
  done_with python "$python_env"
}

# TensorBoard reads what runs write for it, in one test, which is skipped without it.
need_tensorboard() {
  local python=$python_env/bin/python
  "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("tensorboard") is None)' && return 0
  "$python" -m pip install -q --disable-pip-version-check --retries 1 tensorboard >>"$cache/python.log" 2>&1 && return 0
  say "python: TensorBoard could not be fetched, its test is skipped; details: $cache/python.log"
}
