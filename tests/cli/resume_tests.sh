#!/bin/bash
# Runs that go on, on the real program: killed, interrupted, with moments in fewer bits, and from the files of an earlier build.
# Usage: resume_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_text text.txt

expect 0 . '' "$rung" train "${tiny[@]}" --out one --json
cp out first.json
# A slip in --out is seen.
expect 0 . 'oen is not there: nothing is resumed, it starts anew' "$rung" train "${tiny[@]/--quiet/--json}" --out oen --resume
json "d['loss']==load('first.json')['loss']"
# Moments in fewer bits are saved as they are, and a run goes on from them.
for moments in bf16 fp8; do
  rm -rf small resumed
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.moments=$moments train.checkpoint_every=10 --out small --json
  json "d['loss'] < 5.0 and abs(d['loss'] - load('first.json')['loss']) < 0.2 and d['loss'] != load('first.json')['loss']"
  cp out small.json
  cp -r small resumed
  rm -rf resumed/result.json resumed/checkpoints/0000{20,30,40}
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.moments=$moments train.checkpoint_every=10 --out resumed --resume --json
  json "d['loss']==load('small.json')['loss']"
  check "a resumed run's $moments moments" cmp -s {small,resumed}/checkpoints/000040/optimizer.safetensors
done

# Killed and resumed: bitwise the undisturbed run.
expect 0 . '' "$rung" train "${tiny[@]}" --set train.tokens=102400 --out whole --json
cp out whole.json
"$rung" train "${tiny[@]}" --set train.tokens=102400 train.checkpoint_every=5 --out torn --json >out 2>err &
pid=$!
for _ in $(seq 400); do [ -e torn/checkpoints/000020/state.json ] && break; sleep 0.02; done
kill -9 $pid
wait $pid 2>/dev/null
check "the run ended before it was killed" [ ! -e torn/result.json ]
expect 0 . '' "$rung" train "${tiny[@]}" --set train.tokens=102400 train.checkpoint_every=5 --out torn --resume --json
json "d['loss']==load('whole.json')['loss'] and d['members'][0]['training_loss']==load('whole.json')['members'][0]['training_loss']"

check "scheduled checkpoints are gone: $(ls torn/checkpoints)" [ -e torn/checkpoints/000005/state.json -a -e torn/checkpoints/000020/state.json ]

# Interrupted time and again: saved, status 130 or 143, and resumed bitwise by one command line. Of what interruptions
# saved, and of what a killed process left unfinished, nothing stays.
stopped=("${tiny[@]}" --set train.tokens=102400 --resume --json)
set -m
for starts in 1 2; do
  "$rung" train "${stopped[@]}" --out stopped >out 2>err &
  pid=$!
  for _ in $(seq 400); do
    [ "$(grep -c run_start stopped/log.jsonl 2>/dev/null)" = $starts ] && tail -n 1 stopped/log.jsonl | grep -q '"step",' && break
    sleep 0.02
  done
  kill -TERM $pid
  wait $pid
  got=$?
  check "SIGTERM: status $got, wanted 143" [ $got = 143 ]
  json "d['status']=='interrupted' and d['resume'].startswith('rung train --data text.txt --set ') and d['resume'].endswith(' --resume --json --out stopped')"
  check "stop $starts left other checkpoints than one: $(ls stopped/checkpoints)" [ "$(ls stopped/checkpoints | grep -vc unfinished)" = 1 ]
  [ $starts = 1 ] && mkdir stopped/checkpoints/unfinished
done
set +m
cp -r stopped moved && cp -r stopped changed
expect 0 . '' "$rung" train "${stopped[@]}" --out stopped
json "d['loss']==load('whole.json')['loss']"
check "checkpoints beside the last: $(ls stopped/checkpoints)" [ "$(ls stopped/checkpoints)" = "$(ls whole/checkpoints)" ]

# On another machine the text lies elsewhere: it is known by its content. Another text under the old path is refused.
mkdir elsewhere && cp text.txt elsewhere/
expect 0 . '' "$rung" train "${stopped[@]/%text.txt/elsewhere/text.txt}" --out moved
json "d['loss']==load('whole.json')['loss']"
printf 'More text.\n' >>elsewhere/text.txt
expect 1 . 'belongs to .*other settings|another configuration: data.path was' "$rung" train "${stopped[@]/%text.txt/elsewhere/text.txt}" --out changed
mv text.txt kept.txt && cp elsewhere/text.txt .
expect 1 . 'text.txt has changed since changed was begun' "$rung" train "${stopped[@]}" --out changed
mv kept.txt text.txt && cp text.txt elsewhere/

# A run without its text still has its tokenizer.
mv text.txt kept.txt
expect 0 . '' "$rung" generate moved --tokens 8 --seed 1 --json --quiet
mv out generated.json && mv kept.txt text.txt
expect 0 . '' "$rung" generate moved --tokens 8 --seed 1 --json --quiet
json "d['text']==load('generated.json')['text']"
expect 0 . '' "$rung" export moved --out exported
mv text.txt kept.txt
expect 0 . '' "$rung" export moved --out bare
check "another export without the data" diff -r exported bare
expect 1 '' 'moved was trained on is not there. .*Name it: --data PATH' "$rung" eval moved
expect 0 . '' "$rung" eval moved --data kept.txt
mv kept.txt text.txt

# Two processes never train into one folder.
"$rung" train "${tiny[@]/text.txt/synthetic}" --set train.tokens=1e9 --out busy >/dev/null 2>&1 &
pid=$!
for _ in $(seq 400); do [ "$(cat busy/log.jsonl 2>/dev/null | wc -l)" -gt 0 ] && break; sleep 0.02; done
expect 1 '' 'Another process is writing busy. Wait for it, or choose another folder' \
  "$rung" train "${tiny[@]/text.txt/synthetic}" --set train.tokens=1e9 --out busy --resume
check "the second process wrote into the log" [ "$(grep -c run_start busy/log.jsonl)" = 1 ]
kill -9 $pid
wait $pid 2>/dev/null

# An earlier build's files lack settings that are new since: those have their defaults.
# forget KEY FILE...: takes a setting out of them.
forget() {
  python3 - "$@" <<'PYTHON'
import json, sys
def without(value, key):
    if isinstance(value, dict):
        return {k: without(v, key) for k, v in value.items() if k != key}
    return [without(v, key) for v in value] if isinstance(value, list) else value
key = sys.argv[1]
for path in sys.argv[2:]:
    whole = json.load(open(path))
    assert without(whole, key) != whole, f'{path} has no {key}'
    json.dump(without(whole, key), open(path, 'w'))
PYTHON
}
early=("$rung" train "${tiny[@]}" --set train.moments=fp8 train.checkpoint_every=10 --out early --resume --json)
state=early/checkpoints/000020/state.json
cp -r small early && rm -r early/result.json early/checkpoints/0000{10,30,40}
cp $state whole_state.json
check "a setting to forget" forget train.deterministic $state
expect 0 . '' "${early[@]}"
json "d['loss']==load('small.json')['loss'] and load('early/checkpoints/000040/state.json')['members'][0]['config']['train.deterministic'] is True"
# Where this run's value is not the default, it is another run; a setting that is new to this build may mean anything.
rm -r early/result.json early/checkpoints/0000{30,40}
check "a setting to forget" forget train.moments $state
expect 1 . 'another configuration: train.moments was "fp32", now "fp8"' "${early[@]}"
sed 's/"model.width": 16,/&"model.from_later": 1,/' whole_state.json >$state
expect 1 . 'another configuration: model.from_later is 1, which this build does not know' "${early[@]}"
# Sweeps, whose results are all that is left of their runs.
swept=("$rung" sweep "${tiny[@]}" --over 'train.lr=[0.25,0.5]' --out swept --json)
expect 0 . '' "${swept[@]}"
cp out swept.json && rm swept/runs.csv
check "a setting to forget" forget train.deterministic swept/study.json swept/runs/*/result.json
expect 0 . '' "${swept[@]}" --resume
json "d['runs']==load('swept.json')['runs']"
# Without any settings they are trained again.
rm swept/runs.csv
check "settings to forget" forget settings swept/runs/*/result.json
expect 0 . '' "${swept[@]}" --resume
json "[r['L'] for r in d['runs']]==[r['L'] for r in load('swept.json')['runs']]"
check "nothing was trained again" grep -q '"settings"' swept/runs/*/result.json
# The text elsewhere.
expect 0 . '' "${swept[@]/%text.txt/elsewhere/text.txt}" --resume
json "[r['L'] for r in d['runs']]==[r['L'] for r in load('swept.json')['runs']]"
expect 1 '' 'of other settings: train.lr was \[0.25, 0.5\], now \[0.25, 1.0\]' "$rung" sweep "${tiny[@]}" --over 'train.lr=[0.25,1]' --out swept --resume

echo "$checks checks, $failures failures"
[ $failures = 0 ]
