#!/bin/bash
# The command line's contract: exit statuses, one JSON object on stdout, one line on stderr, nearest names.
# Usage: run_cli_tests.sh PROBE RUNG_LAW
probe=$1 law=$2
work=$(mktemp -d)
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
trap 'rm -rf "$work"' EXIT
lines() {
  checks=$((checks + 1))
  [ "$(wc -l <"$work/err")" = "$1" ] || { failures=$((failures + 1)); echo "FAILED: $1 lines on stderr wanted"; cat "$work/err"; }
}

# Results and arguments.
expect 0 '^law chinchilla$' 'a remark' "$probe" echo runs.csv
expect 0 '^law power$' '' "$probe" echo runs.csv --law power --quiet
expect 0 . 'a remark' "$probe" echo runs.csv --json --threads 3 --device cpu --fast --count 1e6
json "d['law']=='chinchilla' and not d['given'] and d['threads']==3 and d['device']=='cpu' and d['fast'] and d['count']==1000000"
expect 0 . . "$probe" echo --set a=1 b=2 runs.csv N=7e9 D=1e12 --set 'c=[1,2]' --law=power --json
json "d['set']==['a=1','b=2','c=[1,2]'] and d['table']=='runs.csv' and d['more']==['N=7e9','D=1e12'] and d['law']=='power'"
expect 0 . . "$probe" echo --count -3 runs.csv --json
json "d['count']==-3 and d['set']==[] and d['threads']>=1 and d['device']==''"

# Usage: status 2, one line, the nearest name.
expect 2 '' 'rung: \[cli\] Unknown verb. Received ehco. Did you mean echo\?' "$probe" ehco
lines 1
expect 2 '' 'rung help' "$probe" zzzzzz
expect 2 '' 'Unknown verb. Received compare. Did you mean climb --compare\?' "$probe" compare
expect 2 '' 'Did you mean climb --resume, or --resume of train' "$probe" resume --out climb
expect 2 '' 'rung help' "$law" compare # which has no climb
expect 2 '' 'Unknown option of echo. Received --lwa. Did you mean --law\?' "$probe" echo runs.csv --lwa power
expect 2 '' 'Received --jsno. Did you mean --json\?' "$probe" echo runs.csv --jsno
expect 2 '' '--law is one of chinchilla, power. Received pwoer. Did you mean power\?' "$probe" echo runs.csv --law pwoer
expect 2 '' 'TABLE.csv is missing' "$probe" echo
expect 2 '' '--law takes one value' "$probe" echo runs.csv --law power --law power
expect 2 '' '\[cli\] echo: --law takes a value' "$probe" echo runs.csv --law
expect 2 '' 'TABLE.csv is empty: table of runs' "$probe" echo ''
expect 2 '' '--count takes a whole number. Received 1.5' "$probe" echo runs.csv --count 1.5
expect 2 '' '--count takes a number. Received two' "$probe" echo runs.csv --count two
expect 2 '' '--threads takes a whole number from 1' "$probe" echo runs.csv --threads 0
expect 2 '' '--device is one of cpu, cuda. Received tpu' "$probe" echo runs.csv --device tpu
expect 2 '' 'Received gpu. Did you mean cuda\?' "$probe" echo runs.csv --device gpu
expect 2 '' 'fails takes no such argument. Received x' "$probe" fails x
expect 2 '' 'Unknown option of echo. Received --dry-run' "$probe" echo runs.csv --dry-run
expect 0 . '' "$probe" reports --help
expect 2 . 'Unknown verb' "$probe" ehco --json
json "d['status']=='failed' and 'Did you mean echo?' in d['error']"

# Failures: 1 failed, 3 refused; with --json the object and nothing else on stdout.
expect 1 '' '^rung: \[probe\] The disk is full. Received 0 bytes.$' "$probe" fails
lines 1
expect 1 . 'disk is full' "$probe" fails --json
json "d=={'status':'failed','error':'[probe] The disk is full. Received 0 bytes.'}"
expect 3 '' 'rung: \[probe\] The points' "$probe" refuses
expect 3 . 'The points' "$probe" refuses --json
json "d['status']=='refused' and 'determine' in d['error']"
expect 1 '' '^rung: \[internal\] one line$' "$probe" breaks
expect 1 '' "^rung: \[json\] A file is not as it was written: key 'loss' not found" "$probe" misreads
lines 1
expect 3 . '' "$probe" reports --json
json "d['status']=='refused' and 'error' not in d"
if [ -e /dev/full ]; then
  "$probe" echo runs.csv --quiet >/dev/full 2>"$work/err"
  checks=$((checks + 1))
  grep -q 'Cannot write to standard output: No space left' "$work/err" || { failures=$((failures + 1)); echo "FAILED: full stdout"; cat "$work/err"; }
fi

# Help and version.
expect 0 'echo +print its arguments' '' "$probe" help
expect 0 'echo +print its arguments' '' "$probe"
expect 0 '^Probe 1$' '' "$probe" --version
expect 0 . '' "$probe" version --json
json "re.match(r'[0-9]+[.][0-9]+', d['version']) and d['libraries']=={'Probe': '1'}"
expect 0 '^rung [0-9]+\.[0-9]+' '' "$law" --version
expect 0 'rung echo TABLE.csv \[MORE ...\]' '' "$probe" echo --help
expect 0 'probe echo runs.csv N=7e9' '' "$probe" echo -h
expect 0 '--law chinchilla\|power' '' "$probe" help echo
expect 0 '--dry-run' '' "$probe" reports --help
# A narrow terminal gets lines of its width, but for commands; a pipe whole ones.
for command in 'help' 'echo --help' 'zzzzzz' 'fails' 'echo runs.csv'; do
  on_terminal 36 "$probe" $command >"$work/out" 2>&1 </dev/null
  sed -i '/^rung VERB --help/d' "$work/out"
  check "$command: a line of more than 36 columns: $(cat "$work/out")" [ "$(widest "$work/out")" -le 36 ]
done

# Interruption: the first signal saves, a second Ctrl-C ends at once. What stops jobs sends a signal more than once, in
# the same moment (timeout) or some time later (a scheduler): that is no second Ctrl-C.
signal() {
  local name=$1 status=$2 sends=$3 apart=$4 pid pids
  shift 4
  "$probe" waits "$@" >"$work/out" 2>"$work/err" &
  pid=$! pids=
  for _ in $(seq 100); do grep -q ready "$work/out" && break; sleep 0.05; done
  if [ "$apart" = 0 ]; then
    for _ in $(seq "$sends"); do pids="$pids $pid"; done
    kill -s "$name" $pids
  else
    for _ in $(seq "$sends"); do kill -s "$name" $pid 2>/dev/null; sleep "$apart"; done
  fi
  wait $pid
  local got=$?
  checks=$((checks + 1))
  [ $got = "$status" ] || { failures=$((failures + 1)); echo "FAILED: SIG$name $*: status $got, wanted $status"; }
}
# A background job of a script ignores SIGINT unless job control is on.
set -m
saved() { checks=$((checks + 1)); grep -q saved "$work/err" || { failures=$((failures + 1)); echo "FAILED: $*: not saved"; }; }
signal INT 130 1 0; saved once
signal TERM 143 1 0
signal INT 130 2 0.2 --stubborn
signal INT 130 2 0 --slowly; saved two in the same moment
signal TERM 143 3 0.15 --slowly; saved a scheduler that repeats itself
signal HUP 129 1 0; saved when the terminal went away
trap '' HUP # as under nohup: the HUP is nothing, the TERM after it ends
"$probe" waits >"$work/out" 2>"$work/err" &
pid=$!
for _ in $(seq 100); do grep -q ready "$work/out" && break; sleep 0.05; done
kill -s HUP $pid; kill -s TERM $pid; wait $pid
got=$?
checks=$((checks + 1)); [ $got = 143 ] || { failures=$((failures + 1)); echo "FAILED: HUP under nohup: status $got"; }
trap - HUP
# Whom nobody reads any more ends with its status, not in an abort.
if [ -w /dev/full ]; then
  "$probe" fails >/dev/full 2>/dev/full; got=$?
  checks=$((checks + 1)); [ $got = 1 ] || { failures=$((failures + 1)); echo "FAILED: an error that cannot be printed: status $got"; }
fi
set +m

# The real program.
expect 0 '^umup +' '' "$law" parametrisations
expect 0 . '' "$law" parametrisations --json
json "'umup' in [p['name'] for p in d['parametrisations']] and all(p['summary'] for p in d['parametrisations'])"
expect 2 '' 'Did you mean parametrisations\?' "$law" parametrizations
expect 0 'parametrisations' '' "$law" help
for verb in $("$law" help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
  expect 0 '^example$' '' "$law" "$verb" --help
  expect 2 '' 'Unknown option' "$law" "$verb" --no-such-option-at-all
done

# A procedure: from the raw rows to a fit of every quantity, and predictions from the file.
data=$(dirname "${BASH_SOURCE[0]}")/../law/data
expect 0 'isoflop' '' "$law" laws
expect 0 . '' "$law" fit "$data/critical-batch/cbs_steps_derived.csv" --law critical-batch --bootstrap 50 --json --out "$work/fit.json"
json "d['law']=='critical-batch' and d['target']=='cbs' and abs(d['coefficients']['a']['value']-0.46828)<1e-5 and len(d['derivation']['models'])==5"
expect 0 '^cbs 58' '' "$law" predict "$work/fit.json" model_size_M=7000
expect 0 . '' "$law" fit "$data/chinchilla-epoch/points.csv" --law isoflop --where 'loss<3.44' --bootstrap 50 --json --out "$work/fit.json"
json "d['law']=='isoflop' and all(k in d['coefficients'] for k in ('k_N','a_N','a_D','E','alpha')) and 0.45<d['coefficients']['a_N']['value']<0.55"
expect 0 . '' "$law" predict "$work/fit.json" C=5.76e23 --json
json "d['lo']<d['N_opt']<d['hi'] and set(d['quantities'])=={'D_opt','L_opt'}"
expect 2 '' 'Unknown setting. Received tolerence=0.2. The nearest is tolerance' "$law" fit "$data/chinchilla-epoch/points.csv" --law isoflop --setting tolerence=0.2
expect 3 'too-few-budgets' '' "$law" fit "$data/chinchilla-epoch/points.csv" --law isoflop --where 'loss<2.2'

echo "$checks checks, $failures failures"
[ $failures = 0 ]
