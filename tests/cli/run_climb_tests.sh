#!/bin/bash
# The climb's contract on the real program: results, files, the record that precedes the target,
# equality of equal climbs, kill -9 and signals, bad input. Usage: run_climb_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
mounted=
trap '[ -n "$mounted" ] && umount "$mounted"; rm -rf "$work"' EXIT
# later NAME COMMAND...: beside what follows; now NAME: its status, with its output as the last command's.
later() { { "${@:2}" >"$work/$1.out" 2>"$work/$1.err" </dev/null; echo $? >"$work/$1.rc"; } & eval "later_$1=$!"; }
now() { eval "wait \$later_$1"; cp "$work/$1.out" "$work/out"; cat "$work/$1.err" >&2; return "$(cat "$work/$1.rc")"; }

# A language of 32 tokens and one layer: the smallest climb takes seconds.
shape=(--data synthetic:vocabulary=32 --tokens-per-parameter 8 --threads 1 --quiet --json
  --set model.depth=1 model.context=16 train.eval_tokens=32768)

# A budget that is too small names one that is enough; that one climbs.
expect 1 . 'budget is too small to climb. Received 1e\+06 FLOP; the smallest climb here needs' \
  "$rung" climb "${shape[@]}" --budget 1e6flop --out small
budget=$(sed -nE 's/.*needs ([0-9.e+]+[0-9]).*/\1flop/p' err)
check "the message names a budget: $(cat err)" [ -n "$budget" ]
tiny=("${shape[@]}" --budget "$budget")
start=$(date +%s%N)
expect 0 . '' "$rung" climb "${tiny[@]}" --out one
took=$((($(date +%s%N) - start) / 1000000)) # ms
cp out one.json
json "set('target predicted measured relative_error inside extrapolation_flops seconds out'.split()) <= set(d) and set(d['target'])==set('N D C width depth'.split())"
json "set(d['predicted'])>={'loss','lo','hi'} and set(d['measured'])=={'loss','se'} and d['predicted']['lo']<d['predicted']['loss']<d['predicted']['hi']"
json "abs(d['relative_error']-(d['predicted']['loss']/d['measured']['loss']-1))<1e-12 and abs(d['relative_error'])<0.2 and d['extrapolation_flops']>=4"
json "d['inside']==(d['predicted']['lo']<=d['measured']['loss']<=d['predicted']['hi']) and 1<d['entropy']<d['measured']['loss']<math.log(32)"
json "all(os.path.exists('one/'+p) for p in 'config.toml plan.json rule.json runs.csv fit.json prediction.json target.toml audit.json report.html log.jsonl target/result.json'.split())"

# Sweeps leave their results, rungs and target also what can be evaluated.
check "checkpoints are kept: $(find one -name checkpoints)" [ "$(find one -name checkpoints | grep -cv rung-)" = 1 ]
check "a rung's checkpoint is missing" [ "$(find one/runs -name checkpoints | wc -l)" = "$(ls -d one/runs/rung-* | wc -l)" ]

# The rule is that of the sweeps: the batch is the one whose sweep is named, and every sweep has its optimum.
json "load('one/rule.json')['rule']['batch_coefficient']==0.68*{'':1,'-half-batch':0.5,'-double-batch':2}[load('one/rule.json')['batch_from'].removeprefix('sweep-a')]"
json "[o['run'] for o in load('one/rule.json')['optima']]==[r['run'] for r in load('one/plan.json')['runs'] if r['kind']=='sweep']"

# Climbs that are judged further down; this machine's other core has time for them.
later two "$rung" climb "${tiny[@]}" --out two
later seed2 "$rung" climb "${tiny[@]}" --seed 2 --predict-only --keep-checkpoints --out seed2
later only "$rung" climb "${tiny[@]}" --out only --predict-only

# The prediction, its hash in the log, then the target's first step.
json "[e['event'] for e in log('one')].index('prediction') < [e.get('stage') for e in log('one')].index('target')"
json "[e['sha256'] for e in log('one') if e['event']=='prediction']==[sha('one/prediction.json')]"
json "max(when('one/prediction.json'), when('one/target.toml'), when('one/fit.json')) <= when('one/target/config.toml')"
json "load('one/prediction.json')['loss']==d['predicted']['loss'] and load('one/prediction.json')['level']==0.9 and set(load('one/prediction.json')['sources'])=={'fit','seeds','form','rollout','bend'}"
json "load('one/prediction.json')['target']['D']==d['target']['D'] and not re.search(r'seconds|time|202[0-9]-', text('one/prediction.json'))"
json "sum(r['flops'] for r in load('one/plan.json')['runs']) <= load('one/plan.json')['flops'] and sum(r['kind']=='ladder' for r in load('one/plan.json')['runs'])>=4"
json "[e['status'] for e in log('one') if e['event']=='end']==['done']"
json "0.1*d['seconds'] < sum(float(r['seconds']) for r in rows('one/runs.csv')) < d['seconds']"
json "'not_stated' not in load('one/fit.json')['checklist'] and set(load('one/fit.json')['checklist']['runs'])==set('counting hyperparameters checkpoints evaluation repeats'.split())"
json "'</html>' in text('one/report.html') and not re.search(r'https?://|(src|href)\s*=\s*[\"\']?//|@import|XMLHttpRequest', re.sub(r'/[*].*?[*]/', '', text('one/report.html'), flags=re.S))"

# Alternatives: a climb each on equal shares, their comparison, resumed without training anything again.
two_shares=$(python3 -c "print(2.02*float('${budget%flop}'), 'flop', sep='')")
expect 0 . '' "$rung" climb "${shape[@]}" --budget "$two_shares" --compare attention,model.ffn=gelu --out versus
cp out versus.json
json "[a['name'] for a in d['alternatives']]==['attention','model.ffn=gelu'] and d['status']=='done' and all('measured' in a and a['extrapolation_flops']>=4 for a in d['alternatives'])"
json "d['pairs'][0]['flops']['verdict'] and d['pairs'][0]['seconds']['verdict'] and 0<=d['pairs'][0]['shared_E_probability']<=1 and len(d['pairs'][0]['flops']['ahead'])==49"
json "sum(w.startswith(a['name']+': its target measured') for w in d['warnings'] for a in d['alternatives'])==len(d['warnings'])==sum(not a['inside'] for a in d['alternatives'])"
json "all(os.path.exists('versus/'+p) for p in 'compare.json compare.html attention/report.html model.ffn=gelu/report.html'.split()) and '</html>' in text('versus/compare.html')"
expect 1 . 'holds a climb already' "$rung" climb "${shape[@]}" --budget "$two_shares" --compare attention,model.ffn=gelu --out versus
expect 0 . '' "$rung" climb "${shape[@]}" --budget "$two_shares" --compare attention,model.ffn=gelu --out versus --resume
json "[(a['predicted'],a['measured'],a['curve_flops']) for a in d['alternatives']]==[(a['predicted'],a['measured'],a['curve_flops']) for a in load('versus.json')['alternatives']]"
expect 0 . '' "$rung" report versus
# At the same time they are the same climbs, and each run's cost is timed alone.
expect 0 . '' "$rung" climb "${shape[@]}" --budget "$two_shares" --compare attention,model.ffn=gelu --together --out beside
json "[(a['predicted'],a['measured'],a['curve_flops']) for a in d['alternatives']]==[(a['predicted'],a['measured'],a['curve_flops']) for a in load('versus.json')['alternatives']]"
json "all(len(load('beside/'+n+'/alone.json')['points'])==3 and all(p['seconds']>0 for p in load('beside/'+n+'/alone.json')['points']) for n in ('attention','model.ffn=gelu')) and not os.path.exists('versus/attention/alone.json')"
expect 1 . 'holds a climb already' "$rung" climb "${shape[@]}" --budget "$two_shares" --compare attention,model.ffn=gelu --together --out beside
expect 0 . '' env DEVICE=cpu DATA=synthetic:vocabulary=32 BUDGET=1e16flop MORE="--dry-run --quiet --json" "$root/bench/five_mixers.sh" "$rung" five
json "sorted({g['name'].split('/')[0] for g in d['groups']})==['attention','hybrid','mamba2','mlstm','xlstm'] and sum(g['name'].endswith('/target') for g in d['groups'])==5"
# Many climbs and what they come to: four planted results, one outside its interval, kept as they are; the one that lacks is trained.
mkdir -p many
python3 - <<'PYTHON'
import json
for name, L, half in (('bytes-1', 2.0, 0.1), ('bytes-2', 2.0, 0.1), ('bpe-1', 2.0, 0.1), ('bpe-2', 2.0, 0.1), ('bpe-3', 2.0, 0.02)):
    guess = {'bytes-1': 2.01, 'bpe-1': 2.0, 'bpe-2': 2.2, 'bpe-3': 2.01}.get(name, 1.98)
    json.dump({'status': 'done', 'target': {'N': 7}, 'predicted': {'loss': guess, 'lo': guess - half, 'hi': guess + half}, 'measured': {'loss': L},
               'relative_error': guess / L - 1, 'inside': abs(guess - L) <= half, 'extrapolation_flops': 4.5, 'seconds': 1.0}, open(f'many/{name}.json', 'w'))
PYTHON
expect 0 '^bpe: 3 climbs, error 0.50 % in the median, 10.00 % at most; 2 inside, widest \+-5.0 %, mean interval score 40.67$' '' \
  env SEED=1 BUDGET="$budget" MORE="${shape[*]:0:6} ${shape[*]:8}" "$root/bench/climbs.sh" "$rung" many bytes bpe
check "the climb that lacked: $(cat out)" grep -Eq '^\| bytes-3 \| [0-9]+ \| [4-9]\.[0-9]x \| [0-9., ]+ \.\. [0-9.]+ \| [0-9.]+ \| [+-][0-9.]+ % \| (yes|no) \|' out
check "a summary of each set and of all: $(cat out)" [ "$(grep -Ec '^(bytes: 3|bpe: 3|all: 6) climbs' out)" = 3 ]
expect 2 '' 'An alternative is given twice. Received two:mamba2' "$rung" climb --compare two:attention,two:mamba2 --out none
expect 2 '' 'takes two alternatives at least' "$rung" climb --compare attention --out none
expect 2 '' 'No part has this name. Received atention. Did you mean attention' "$rung" climb --compare atention,mamba2 --out none
expect 2 '' 'share their data' "$rung" climb --compare attention,data.path=x --out none
expect 1 . 'In the climb of attention, one of 2 alternatives that share the budget' "$rung" climb "${shape[@]}" --budget 1e6flop --compare attention,model.ffn=gelu --out none

# The forecast again from the finished climb: the same, and with measures left out; what was trained cannot be undone.
expect 0 . '' "$rung" forecast one --json
json "d['predicted']==load('one.json')['predicted'] and abs(d['relative_error']-load('one.json')['relative_error'])<1e-12 and d['without']==[]"
for measure in offset prior noise seeds; do
  expect 0 . '' "$rung" forecast one --json --without $measure
  json "d['without']==['$measure'] and d['predicted']!=load('one.json')['predicted']"
done
expect 2 '' 'lr-rule decides what is trained' "$rung" forecast one --without lr-rule
expect 2 '' 'Unknown measure. Received --without regimes. The nearest is regime' "$rung" forecast one --without regimes
expect 1 '' 'prediction.json' "$rung" forecast nowhere

# A dry run plans and writes nothing; a given target is heeded, and free where it is trained elsewhere.
expect 0 . '' "$rung" climb "${tiny[@]}" --dry-run --out dry
json "d['dry_run'] and [g['name'] for g in d['groups']][-1]=='target' and d['flops']<=float('${budget%flop}')"
check "a dry run wrote a folder" [ ! -e dry ]
expect 0 . '' "$rung" climb "${shape[@]}" --dry-run --set model.width=64 --predict-only --budget 1e13flop --out dry
json "all(g['name']!='target' for g in d['groups'])"
expect 1 . 'The budget is too small to climb. Received' "$rung" climb "${tiny[@]}" --dry-run --set model.width=64 --out dry
expect 0 . '' "$rung" climb "${tiny[@]}" --without lr-rule --without batch-rule --predict-only --out ablated
json "load('ablated/plan.json')['without']==['lr-rule','batch-rule'] and all(r['kind']!='sweep' for r in load('ablated/plan.json')['runs'])"

# A terminal shows how far the whole climb is, not its present part alone.
expect 0 . '' env TERM=xterm python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$rung" climb "${tiny[@]/--quiet/--keep-checkpoints}" --out shown
check "no share of the climb: $(tail -c 600 out)" grep -aEq '(sweep|rung)-[^;]*; climb [0-9]+ %' out

# Rates that are all too low: said, with what to do.
expect 0 . 'warning: [0-9] of [0-9] sweeps end at their highest rate, .* with a higher --set train.lr .now 0.005' \
  "$rung" climb "${tiny[@]/--quiet/--keep-checkpoints}" --set train.lr=0.005 --predict-only --out low
cp -r one again
expect 0 . '^rule +lr' "$rung" climb "${tiny[@]/--quiet/--keep-checkpoints}" --out again --resume
check "a warning where the optimum was swept: $(cat err)" [ "$(grep -c 'sweeps end' err)" = 0 ]

# No climb is overwritten, and none is continued under other settings.
cp -r one kept
expect 1 . 'holds a climb already with its prediction' "$rung" climb "${tiny[@]}" --out one
check "a refused climb changed the folder" diff -r one kept
expect 1 . 'holds a climb of other settings: seed was 1, now 2. Resume with the command that started it \(rung climb --data synthetic:vocabulary=32 .* --out one\)' \
  "$rung" climb "${tiny[@]}" --seed 2 --out one --resume
expect 1 . 'holds a climb of other settings: model.ffn was "swiglu", now "geglu"' "$rung" climb "${tiny[@]}" --set model.ffn=geglu --out one --resume
expect 1 . 'holds a climb of other settings: law was "", now "power". Resume with the command' "$rung" climb "${tiny[@]}" --law power --out one --resume
expect 1 . 'holds a climb of other settings: budget.seconds was null, now 540.0; budget.flops was [0-9.e+]+, now null' \
  "$rung" climb "${shape[@]}" --budget 9min --out one --resume
check "another climb's resumption changed the folder" diff -r one kept
expect 0 . '' "$rung" climb "${shape[@]}" --out again --resume # its recorded budget goes on
check "the same climb again is not its own command" \
  grep -Eq '^./rung climb --data synthetic:vocabulary=32 .* --budget [0-9.e+]+flop --out again-again$' again/report.html

# same DIR: the prediction's bytes and the measured loss are those of the undisturbed climb.
same() {
  for file in prediction.json target.toml fit.json rule.json plan.json; do
    check "$1/$file differs from the undisturbed one" cmp one/$file "$1/$file"
  done
  json "d['status']=='done' and d['measured']==load('one.json')['measured'] and d['predicted']==load('one.json')['predicted']"
}
expect 0 . '' now two
same two
json "log('two')[-1]['event']=='end'"
expect 0 . '' "$rung" climb "${tiny[@]}" --out two --resume # a finished climb is read back
same two
# So is one of an earlier build, whose files lack a setting and a note of the plan.
cp -r two early && sed -i '/^deterministic = /d' early/config.toml && sed -i '/"wanted_tokens"/d' early/plan.json
check "the files lack nothing" [ "$(cat early/{config.toml,plan.json} | wc -l)" = "$(($(cat two/{config.toml,plan.json} | wc -l) - 2))" ]
expect 0 . '' "$rung" climb "${tiny[@]}" --out early --resume
cp two/plan.json early/plan.json
same early
expect 0 . '' now seed2
check "a sweep's checkpoint is missing" [ "$(find seed2/runs -name checkpoints | wc -l)" = "$(ls seed2/runs | wc -l)" ]
json "d['predicted']!=load('one.json')['predicted']"

# kill -9 at random moments, then --resume. Where the machine has less to do than at the first climb, the moment may come too late:
# then once more, in half the time.
for i in 1 2 3; do
  for attempt in 1 2 3 4 5; do
    rm -rf "killed$i"
    "$rung" climb "${tiny[@]}" --out "killed$i" >/dev/null 2>&1 &
    pid=$!
    moment=$((RANDOM % (took * 85 / 100) + took / 20))
    sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
    kill -9 $pid 2>/dev/null
    wait $pid
    killed=$?
    [ $killed = 137 ] && break
    took=$((took / 2))
  done 2>/dev/null
  check "killed$i: no climb lasted long enough to be killed" [ $killed = 137 ]
  expect 0 . '' "$rung" climb "${tiny[@]}" --out "killed$i" --resume
  same "killed$i"
  checks=$((checks + 1))
  python3 -c "
import json, sys
events = [json.loads(line) for line in open('killed$i/log.jsonl')]
assert sum(e['event'] == 'prediction' for e in events) == 1" || fail "killed$i at $moment ms: one recorded prediction"
done

# Killed between the prediction and its record: the hash is logged before the target starts.
mkdir torn && cp -r one/. torn && rm -rf torn/target
python3 - <<'PYTHON'
lines = open('torn/log.jsonl').readlines()
at = [i for i, line in enumerate(lines) if '"event":"prediction"' in line][0]
open('torn/log.jsonl', 'w').write(''.join(lines[:at]) + lines[at][:30])  # a torn line
PYTHON
expect 0 . '' "$rung" climb "${tiny[@]}" --out torn --resume
same torn
json "[e['sha256'] for e in log('torn') if e['event']=='prediction']==[sha('torn/prediction.json')]"
sed -i 's/"level": 0.9/"level": 0.8/' torn/prediction.json
expect 1 . 'was changed after it had been recorded' "$rung" climb "${tiny[@]}" --out torn --resume
echo '{}' >torn/plan.json
expect 1 . 'torn/plan.json is not as it was written: it lacks flops' "$rung" climb "${tiny[@]}" --out torn --resume

# Interrupted: saved, 130, resumed.
set -m
"$rung" climb "${tiny[@]}" --out stopped >out 2>err &
pid=$!
for _ in $(seq 400); do grep -q '"stage":"ladder"' stopped/log.jsonl 2>/dev/null && break; sleep 0.02; done
kill -INT $pid
wait $pid
got=$?
set +m
check "SIGINT: status $got, wanted 130" [ $got = 130 ]
json "d['resume'].endswith('--out stopped --resume') and d['status']=='interrupted' and log('stopped')[-1]['status']=='interrupted'"
expect 0 . '' "$rung" climb "${tiny[@]}" --out stopped --resume
same stopped

# Predict only, train the target elsewhere, verify.
expect 0 . '' now only
json "d['status']=='predicted' and 'measured' not in d and not os.path.exists('only/target') and d['target']==load('one.json')['target']"
# What the target would have cost buys seeds of the ladder; the rule and the target stay.
json "sum(r['members'] for r in load('only/plan.json')['runs'] if r['kind']=='ladder')>=sum(r['members'] for r in load('one/plan.json')['runs'] if r['kind']=='ladder')"
check "the rules differ" cmp one/rule.json only/rule.json
expect 0 . '' "$rung" train only/target.toml --out elsewhere --threads 2 --quiet --json
json "d['loss']==load('one.json')['measured']['loss']"
loss=$(python3 -c "import json; print(json.load(open('one.json'))['measured']['loss'])")
expect 0 . '' "$rung" verify only --measured "$loss" --se 0.003 --json
json "d['measured']['loss']==load('one.json')['measured']['loss'] and abs(d['relative_error']-(load('only/prediction.json')['loss']/d['measured']['loss']-1))<1e-12 and log('only')[-1]['measured']['loss']==d['measured']['loss']"
expect 0 'This replaces the measurement' '' "$rung" verify only --measured 2.5
expect 0 . '' "$rung" verify only --measured "$loss" --se 0.003 --json
json "[m['loss'] for m in d['replaces']]==[d['measured']['loss'],2.5]"
check "earlier measurements" grep -q 'Measured before this: 2.5' only/report.html
cp -r only edited && echo >>edited/prediction.json
expect 1 . 'edited/prediction.json was changed after it had been recorded' "$rung" verify edited --measured 2 --json
expect 2 . '--measured is missing: the target.s held-out loss' "$rung" verify only --json
expect 2 . '--measured must be positive' "$rung" verify only --measured=-1 --json
expect 2 . '--se cannot be negative. Received -1' "$rung" verify only --measured 2 --se -1 --json
expect 1 . 'small holds no prediction.json' "$rung" verify small --measured 2 --json
mkdir hollow && echo '{"target": {}}' >hollow/prediction.json
expect 1 . 'hollow/prediction.json is no prediction of a climb: it lacks the number loss' "$rung" verify hollow --measured 2 --json
expect 1 . 'one trained its target and measured it' "$rung" verify one --measured 2 --json
# A law that no path has is said before anything is trained.
expect 2 . 'must have one variable' "$rung" climb "${tiny[@]}" --law chinchilla --out bad
expect 2 . 'Unknown law. Received powr' "$rung" climb "${tiny[@]}" --law powr --out bad

# Bad input: one clear line and the right status.
for bad in 4miles -1e9flop 0s nan flop; do
  expect 2 . '--budget (takes a time|must be positive)' "$rung" climb "${shape[@]}" --budget=$bad --out bad
done
expect 2 . 'ahead lies from 1 to 1e\+06. Received 0.5' "$rung" climb "${tiny[@]}" --ahead 0.5 --out bad
expect 2 . 'tokens-per-parameter lies from .* Received -3' "$rung" climb --data synthetic --json --tokens-per-parameter -3 --out bad
expect 2 . 'Give --compare' "$rung" climb "${tiny[@]}" --together --out bad
expect 2 . 'seed takes a whole number from 0. Received -1' "$rung" climb "${tiny[@]}" --seed -1 --out bad
expect 2 . 'out is empty: folder of the climb' "$rung" climb "${tiny[@]}" --out ''
expect 2 . 'Did you mean model.width|nearest.*model.width' "$rung" climb "${tiny[@]}" --set model.widht=64 --out bad
expect 2 . 'one configuration, not lists' "$rung" climb "${tiny[@]}" --set 'train.lr=[0.1,0.2]' --out bad
check "bad usage left a folder" [ ! -e bad ]
text=(--threads 1 --quiet --json --budget 1e13flop --out)
expect 1 . 'missing.txt' "$rung" climb "${text[@]}" missing --data missing.txt
: >empty.txt
expect 1 . 'empty.txt' "$rung" climb "${text[@]}" empty --data empty.txt
head -c 100000 /dev/urandom >binary.txt
expect 1 . 'binary.txt' "$rung" climb "${text[@]}" binary --data binary.txt
head -c 200000 "$root/data/docs.txt.xz" >cut.txt.xz
expect 1 . 'cut.txt.xz is truncated' "$rung" climb "${text[@]}" cut --data cut.txt.xz
yes 'A short text of one line, again and again.' | head -c 40000 >short.txt
expect 1 . 'text is too small to climb. Received [0-9]+ distinct training tokens; .* needs [0-9]+' \
  "$rung" climb "${text[@]}" short --data short.txt --set data.held_out=0.2
expect 1 '' '^data +2 of 3 documents, 8[0-9] % of the text, are held out' \
  "$rung" climb --threads 1 --budget 1e13flop --out few --data short.txt

# A damaged checkpoint of the target: named, with what to do; nothing else changes, and without it the climb goes on.
cp -r one damaged && rm damaged/target/result.json
newest=$(ls damaged/target/checkpoints | tail -n 1)
for file in weights.safetensors optimizer.safetensors state.json; do
  cp "damaged/target/checkpoints/$newest/$file" whole && truncate -s 100 "damaged/target/checkpoints/$newest/$file"
  expect 1 . "damaged/target/checkpoints/$newest is damaged: .* Remove that folder" "$rung" climb "${tiny[@]}" --out damaged --resume
  check "more than one line: $(cat err)" [ "$(wc -l <err)" = 1 ]
  mv whole "damaged/target/checkpoints/$newest/$file"
done
for file in weights optimizer; do
  path=damaged/target/checkpoints/$newest/$file.safetensors
  cp "$path" whole && printf '\xff\xfe' | dd of="$path" bs=1 seek=$(($(stat -c %s "$path") - 101)) conv=notrunc status=none
  expect 1 . "$newest is damaged: .*$file.safetensors: .* is not what was written. .*Remove that folder" "$rung" climb "${tiny[@]}" --out damaged --resume
  mv whole "$path"
done
check "a damaged checkpoint changed the runs" diff -rq -x log.jsonl -x 'events.*' damaged/runs one/runs
truncate -s 100 "damaged/target/checkpoints/$newest/weights.safetensors"
rm -r "damaged/target/checkpoints/$newest"
expect 0 . '' "$rung" climb "${tiny[@]}" --out damaged --resume
same damaged

# A population whose members all diverge ends the climb: named, exit 1, and what was trained before it stays.
nan=("${tiny[@]}" --set train.lr=1e6)
expect 1 . '\[climb\] rung-w[0-9]+: Every member diverged by step [0-9]+ .*Lower train.lr' "$rung" climb "${nan[@]}" --out nan
check "more than one line: $(cat err)" [ "$(wc -l <err)" = 1 ]
json "d['status']=='failed' and log('nan')[-1]['status']=='failed' and d['error']==log('nan')[-1]['error'] and not os.path.exists('nan/prediction.json')"
json "len([r for r in rows('nan/runs.csv') if r['kind']=='sweep' and r['status']=='ok'])==sum(r['members'] for r in load('nan/plan.json')['runs'] if r['kind']=='sweep') and '</html>' in text('nan/report.html')"
cp nan/runs.csv nan.csv
expect 1 . 'Every member diverged' "$rung" climb "${nan[@]}" --out nan --resume
json "[{**r,'seconds':0} for r in rows('nan/runs.csv')]==[{**r,'seconds':0} for r in rows('nan.csv')]"

# A full disk: one line, exit 1, and the climb continues once there is room.
mkdir disk
if mount -t tmpfs -o size=600k tmpfs disk 2>/dev/null; then
  mounted=$work/disk
  expect 1 . 'No space left' "$rung" climb "${tiny[@]}" --out disk/climb
  check "more than one line: $(cat err)" [ "$(wc -l <err)" = 1 ]
  mount -o remount,size=60m disk
  expect 0 . '' "$rung" climb "${tiny[@]}" --out disk/climb --resume
  same disk/climb
else
  echo "skipped: a full disk (this user cannot mount a tmpfs)"
fi

echo "$checks checks, $failures failures"
[ $failures = 0 ]
