# What the command-line test scripts share; sourced by each. Needs $work, a scratch folder; counts into checks and failures.
failures=0 checks=0

matches() { if [ -z "$1" ]; then [ ! -s "$2" ]; else grep -Eq -- "$1" "$2"; fi; }
# expect STATUS OUT_PATTERN ERR_PATTERN COMMAND...: extended regular expressions; '' wants an empty stream.
expect() {
  local status=$1 out=$2 err=$3
  shift 3
  "$@" >"$work/out" 2>"$work/err" </dev/null
  local got=$?
  checks=$((checks + 1))
  if [ $got != "$status" ] || ! matches "$out" "$work/out" || ! matches "$err" "$work/err"; then
    failures=$((failures + 1))
    echo "FAILED: $(basename "$1") ${*:2}: status $got, wanted $status, /$out/, /$err/"
    sed 's/^/  stdout: /' "$work/out" | head -40
    sed 's/^/  stderr: /' "$work/err" | head -40
  fi
}
