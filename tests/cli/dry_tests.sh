#!/bin/bash
# What a climb plans, and the command on its page that plans the same again, on the real program: dry runs, and climbs
# that are refused or end at their first step. Usage: dry_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
shape=(--data synthetic:vocabulary=32 --threads 1 --quiet --json
  --set model.depth=1 model.context=16 train.eval_tokens=1024)
expect 2 . 'a number of FLOPs, such as 90s, 4min, 1e15flop. Received 90' "$rung" climb "${shape[@]}" --budget 90 --out none
expect 0 '^blocks.0.ffn.gate_up ' '' "$rung" audit
sed -i 1d out # the title may be broken between words
check "audit's table does not fit 80 columns" [ "$(widest out)" -le 80 ]
ends=(--set train.lr=1e6) # every member diverges: the plan and the page are all there is

# again FOLDER: the page's command for the same climb, run dry, plans what the folder's plan.json holds.
again() {
  local command
  command=$(sed -n '/^# the same climb again/{n;p}' "$1/report.html" |
    sed "s/&#39;/'/g; s/&quot;/\"/g; s/&amp;/\&/g")
  check "no command for the same climb again" [ -n "$command" ]
  expect 0 . '' eval "${command/.\/rung/\"\$rung\"} --dry-run"
  json "d['plan']=={k: v for k, v in load('$1/plan.json').items() if k not in ('law', 'budget')}"
}
expect 1 . 'Every member diverged' \
  "$rung" climb "${shape[@]}" "${ends[@]}" --budget 5e11FLOP --seed 3 --ahead 5 --out 'its own'
again 'its own'
# Without --tokens-per-parameter the default is the climb's, not what its target came to.
json "d['plan']['tokens_per_parameter']==20 and d['plan']['seed']==3"
printf '[model]\nwidth = 48\n' >given.toml
expect 1 . 'Every member diverged' \
  "$rung" climb given.toml "${shape[@]}" "${ends[@]}" --tokens-per-parameter 6 --budget 1e12flop --out given
again given
json "d['plan']['target']['width']==48 and d['plan']['tokens_per_parameter']==6"
expect 1 . 'Every member diverged' "$rung" climb "${shape[@]}" "${ends[@]}" --budget 1e12flop --together \
  --compare ours:model.depth=2+model.ffn=gelu,attention --out versus
again versus/ours
json "d['plan']['flops']==5e11"
# A target's tokens decide how many there are a parameter; which of two ratios is meant is not guessed.
expect 2 . 'decides its tokens per parameter. Received --tokens-per-parameter 20 beside it' \
  "$rung" climb "${shape[@]}" --set model.width=48 train.tokens=1e5 --tokens-per-parameter 20 --out both
check "bad usage left a folder" [ ! -e both ]
# A climb that is refused leaves nothing behind but what was there before.
mkdir -p there
for out in new there; do
  expect 1 . 'budget is too small to climb' "$rung" climb "${shape[@]}" --budget 1e6flop --out $out
done
expect 1 . 'In the climb of attention' \
  "$rung" climb "${shape[@]}" --budget 1e6flop --compare attention,mlstm --out pair
check "refused climbs left $(ls -d new pair there/* 2>/dev/null)" \
  [ ! -e new -a ! -e pair -a -d there -a -z "$(ls there)" ]

# A text that is too short for the budget is said before anything trains.
write_text text.txt
short=(--data text.txt --threads 1 --tokens-per-parameter 2 --budget 1e13flop --dry-run
  --set model.depth=1 model.context=16)
expect 0 '^plan    target width [0-9]+ .* 6 rungs, [4-9]\.[0-9]x beyond' '' "$rung" climb "${short[@]}"
check "nothing of the text: $(cat out)" \
  grep -Eq '^plan    the text holds [0-9.]+k training tokens and limits the target; .* short' out
expect 0 . '' "$rung" climb "${short[@]}" --json
json "d['plan']['limited_by_text'] and d['plan']['wanted_tokens']>4*d['plan']['target']['D']"
expect 0 '^ours: plan    the text holds' '' "$rung" climb "${short[@]}" --compare ours:model.ffn=gelu,attention

echo "$checks checks, $failures failures"
[ $failures = 0 ]
