# System packages. What is there is found by its files, so that any distribution and RUNG_DEPS serve as well as apt.

# kind:what:package:need. Kinds: cmd, header. Needs: all, test (tests only), law (both builds), may (optional),
# testmay (optional, tests only).
package_table='
cmd:g++:g++:all
cmd:cmake:cmake:all
cmd:ninja:ninja-build:all
cmd:python3:python3:torch
header:fmt/format.h:libfmt-dev:all
header:toml++/toml.h:libtomlplusplus-dev:all
header:CLI/CLI.hpp:libcli11-dev:all
header:nlohmann/json.hpp:nlohmann-json3-dev:all
header:Eigen/Dense:libeigen3-dev:all
header:doctest/doctest.h:doctest-dev:test
cmd:ccache:ccache:may
header:zlib.h:zlib1g-dev:may
header:lzma.h:liblzma-dev:may
header:zstd.h:libzstd-dev:may
header:sentencepiece_trainer.h:libsentencepiece-dev:may
header:unicode/uregex.h:libicu-dev:may
chart:chart.min.js:libjs-chart.js:may
cmd:chromium:chromium:testmay
'

has_header() {
  local folder
  for folder in ${RUNG_DEPS:+"$RUNG_DEPS/include" "$RUNG_DEPS/include/eigen3"} /usr/include /usr/include/eigen3 \
    /usr/include/*-linux-gnu /usr/local/include /usr/local/include/eigen3; do
    [[ -e $folder/$1 ]] && return 0
  done
  return 1
}

# The plotting library that reports inline; empty where there is none.
find_chart() {
  local file
  for file in ${RUNG_DEPS:+"$RUNG_DEPS/share/chart.min.js"} /usr/share/javascript/chart.js/chart.min.js; do
    [[ -f $file ]] && printf '%s' "$file" && return
  done
}

has() {
  case $1 in
    cmd) command -v "$2" >/dev/null || { [[ $2 == chromium ]] && command -v chromium-browser google-chrome >/dev/null; } ;;
    header) has_header "$2" ;;
    chart) [[ -n $(find_chart) ]] ;;
  esac
}

# missing_packages NEED...: the packages of those needs whose files are absent.
missing_packages() {
  local kind what package need
  while IFS=: read -r kind what package need; do
    [[ -z $kind || " $* " != *" $need "* ]] && continue
    has "$kind" "$what" || printf '%s ' "$package"
  done <<<"$package_table"
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    if [[ -t 0 ]]; then sudo "$@"; else sudo -n "$@"; fi
  else
    return 1
  fi
}

# apt_install SECONDS PACKAGE...: refreshes the package lists only when the first attempt fails.
apt_install() {
  local limit=$1 log=$cache/apt.log
  shift
  command -v apt-get >/dev/null || return 1
  mkdir -p "$cache"
  local options=(-qq -y --no-install-recommends -o Acquire::Retries=2 -o "Acquire::http::Timeout=$limit"
    -o "Acquire::https::Timeout=$limit" -o DPkg::Lock::Timeout=120)
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "$@" >"$log" 2>&1 && return 0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update "${options[@]}" >>"$log" 2>&1 &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "$@" >>"$log" 2>&1
}

# need_packages NEED...: installs what is missing. Optional packages may fail, one by one, without harm.
need_packages() {
  local needed optional package
  read -ra needed <<<"$(missing_packages "$@")"
  local may=(may)
  [[ " $* " == *" test "* ]] && may+=(testmay)
  read -ra optional <<<"$(missing_packages "${may[@]}")"
  ((${#needed[@]} + ${#optional[@]})) || return 0
  start_clock
  if ((${#needed[@]})); then
    say "packages: installing ${needed[*]}${optional[*]:+ ${optional[*]}}"
    apt_install 30 "${needed[@]}" "${optional[@]}" || apt_install 30 "${needed[@]}"
    read -ra needed <<<"$(missing_packages "$@")"
    if ((${#needed[@]})); then
      refuse setup "Packages are missing and could not be installed: ${needed[*]}. Run: apt-get install ${needed[*]} (no\
 network: ./rung deps DIR on another machine, then RUNG_DEPS=DIR here); details: $cache/apt.log"
      return 1
    fi
  else
    say "packages: trying optional ${optional[*]}"
    apt_install 5 "${optional[@]}" || say "packages: going on without ${optional[*]}"
  fi
  done_with packages
}

# deps DIR: header-only dependencies, the plotting library and their licences, for a host without packages.
gather_deps() {
  local out=${1:-}
  [[ -n $out ]] || { refuse deps "A folder is missing. Run: ./rung deps DIR"; exit 2; }
  mkdir -p "$out/include" "$out/licences" "$out/share" 2>/dev/null ||
    { refuse deps "The folder cannot be written. Received $out."; exit 1; }
  need_packages all test || exit 1
  start_clock
  local entry package folder source
  for entry in libtomlplusplus-dev:toml++ libcli11-dev:CLI doctest-dev:doctest libfmt-dev:fmt \
    nlohmann-json3-dev:nlohmann libeigen3-dev:eigen3; do
    package=${entry%%:*} folder=${entry#*:}
    for source in ${RUNG_DEPS:+"$RUNG_DEPS/include"} /usr/include /usr/local/include; do
      [[ -d $source/$folder ]] || continue
      cp -RL "$source/$folder" "$out/include/" || exit 1
      break
    done
    [[ -d $out/include/$folder ]] || { refuse deps "$folder was not found. Run: apt-get install $package"; exit 1; }
    copy_licence "$package" "$out"
  done
  if [[ -n $(find_chart) ]]; then
    cp -L "$(find_chart)" "$out/share/chart.min.js" && copy_licence libjs-chart.js "$out"
  fi
  done_with deps "$out ($(du -sh "$out" | cut -f1))"
}

copy_licence() {
  local source=/usr/share/doc/$1/copyright
  [[ -f $source ]] || source=${RUNG_DEPS:-}/licences/$1
  if [[ -f $source ]]; then cp -L "$source" "$2/licences/$1"; fi
}
