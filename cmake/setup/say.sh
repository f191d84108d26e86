# Messages of the root script: all on stderr, one line a step, with its time.
quiet=0

quiet_from() {
  local argument
  for argument in "$@"; do [[ $argument == --quiet ]] && quiet=1; done
  return 0
}

say() { ((quiet)) || printf 'rung: %s\n' "$*" >&2; }

# refuse WHERE MESSAGE: one clear line, then the caller returns 1.
refuse() {
  printf '[%s] %s\n' "$1" "$2" >&2
  return 1
}

start_clock() { clock=$EPOCHREALTIME; }

# Seconds since start_clock, with one decimal. EPOCHREALTIME's decimal sign follows the locale.
elapsed() {
  local from=${clock//[.,]/} to=${EPOCHREALTIME//[.,]/}
  local tenths=$(((to - from) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

done_with() { say "$(printf '%-10s %8s%s' "$1" "$(elapsed)" "${2:+  $2}")"; }
