# What the command-line test scripts share; sourced by each. Needs $work, a scratch folder; counts into checks and failures.
failures=0 checks=0

fail() { failures=$((failures + 1)) && echo "FAILED: $*"; }
# check MESSAGE COMMAND...: the command must succeed.
check() { checks=$((checks + 1)) && { "${@:2}" || fail "$1"; }; }
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

# on_terminal COLUMNS COMMAND...: its streams are a terminal of this width, whose text goes to stdout.
on_terminal() {
  python3 -c '
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
try:
    while text := os.read(terminal, 65536):
        os.write(1, text.replace(b"\r\n", b"\n"))
except OSError:
    pass  # the terminal closed
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))' "$@"
}
# widest FILE: characters of its widest line; what a carriage return begins anew counts by itself, escape sequences do not.
widest() { sed -E 's/\x1b\[K//g' "$1" | tr '\r' '\n' | wc -L; }

# json EXPRESSION: a Python expression of d, what the last command printed as JSON, that must be true.
json() {
  checks=$((checks + 1))
  python3 - "$1" "$work/out" <<'PYTHON' || { failures=$((failures + 1)); echo "FAILED: $1"; head -c 2000 "$work/out"; }
import csv, hashlib, json, math, os, re, sys
load = lambda path: json.load(open(path))
rows = lambda path: list(csv.DictReader(open(path)))
text = lambda path: open(path).read()
log = lambda folder: [json.loads(line) for line in open(folder + '/log.jsonl')]
sha = lambda path: hashlib.sha256(open(path, 'rb').read()).hexdigest()
when = lambda path: os.stat(path).st_mtime_ns
d = load(sys.argv[2])
sys.exit(0 if eval(sys.argv[1], globals()) else 1)
PYTHON
}
