#!/bin/bash
# The verbs that train many runs, on the real program: audits, the coordinate check, sweeps and ladders.
# Usage: study_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_text text.txt

# Audits of two parametrisations.
expect 0 . '' "$rung" audit --set parametrisation=mup model.width=128 --json
json "{t['name']: t['role'] for t in d['tensors']}['readout']=='readout' and all(set('name role fan_in fan_out A B C decay epsilon'.split()) <= set(t) for t in d['tensors'])"
cp out mup.json
expect 0 . '' "$rung" audit --set parametrisation=standard model.width=128 --json
json "[t['name'] for t in d['tensors']]==[t['name'] for t in load('mup.json')['tensors']] and d['tensors']!=load('mup.json')['tensors']"
expect 0 '^readout +readout' '' "$rung" audit
expect 2 '' 'One configuration at a time. Received 4: model.width of \[16, 32\]; train.lr of \[0.5, 1.0\]' \
  "$rung" audit --set 'model.width=[16,32]' 'train.lr=[0.5,1]'

# The coordinate check: a right rule, one that promises nothing, files, a page, and bad plans.
coord=(--data text.txt --set model.depth=2 model.context=16 train.batch_tokens=256 data.held_out=0.2 base_width=16 base_depth=2
  train.lr=0.25 --horizons 1,4 --probe 256 --threads 1 --quiet)
expect 0 'Passed: 0 of' '' "$rung" coord "${coord[@]}" --widths 16,32,64
expect 0 . '' "$rung" coord "${coord[@]}" --widths 16,32,64 --depths 2,4 --out coord --json
json "d['status']=='passed' and d['failed']==0 and d['judged']>60 and d['promises']=={'width': True, 'depth': True} and {s['axis'] for s in d['slopes']}=={'width','depth'}"
json "all(s['lo']<=s['slope']<=s['hi'] for s in d['slopes']) and len(d['samples'])==6*4*3*8 and all(0.3<a['exponent']<1.1 for a in d['alignment'])"
json "load('coord/coord.json')['slopes']==d['slopes'] and os.path.getsize('coord/coord.html')>20000"
rm coord/coord.html
expect 0 'coord.html' '' "$rung" report coord
check "the page's title is another one" grep -q '<title>Rung: [a-z]* coordinate check</title>' coord/coord.html
expect 0 'promises nothing' '' "$rung" coord "${coord[@]}" --widths 16,32 --parametrisation standard
expect 3 'FAILED' '' "$rung" coord "${coord[@]}" --widths 16,32,64 --parametrisation mup --set train.lr=0.02 train.weight_decay=1 train.decay_rule=coupled
expect 3 . '' "$rung" coord "${coord[@]}" --widths 16,32,64 --parametrisation mup --set train.lr=0.02 train.weight_decay=1 train.decay_rule=coupled --json
json "d['status']=='refused' and all(r.startswith('decay of') for r in d['reasons']) and d['failed']==len(d['reasons'])>=4"
expect 0 'FLOPs' '' "$rung" coord "${coord[@]}" --widths 16,32 --dry-run
expect 2 '' 'two widths or two depths' "$rung" coord "${coord[@]}" --widths 16
expect 2 '' 'whole numbers from 1' "$rung" coord "${coord[@]}" --widths 16,x
expect 1 '' 'Cannot create text.txt/coord: Not a directory' "$rung" coord "${coord[@]}" --widths 16,32 --out text.txt/coord
expect 2 '' '2 seeds' "$rung" coord "${coord[@]}" --widths 16,32 --seeds 1

# Sweep and ladder.
expect 0 . '' "$rung" sweep "${tiny[@]}" --over train.lr=2^-3..2^1:3 --over 'model.width=[16,24]' --out sweep --json --keep-checkpoints
json "len(d['runs'])==6 and len(d['optima'])==2 and d['best']['L']==min(r['L'] for r in d['runs']) and len(rows('sweep/runs.csv'))==6"
json "rows('sweep/runs.csv')[0]['kind']=='sweep' and float(rows('sweep/runs.csv')[0]['C'])==d['runs'][0]['C'] and list(rows('sweep/runs.csv')[0])[:5]==['run','member','kind','status','used']"
json "[t['key'] for t in d['transfers']]==['model.width'] and [p['value'] for p in d['transfers'][0]['points']]==[16,24] and d['transfers'][0]['lo']<=d['transfers'][0]['drift']<=d['transfers'][0]['hi']"
cp out sweep.json
expect 0 'diverged' '' "$rung" sweep "${tiny[@]}" --over 'train.lr=[0.5,1e6]' --over 'model.norm_gain=[false,true]' --set train.warmup=0 --out rough
expect 1 '' 'holds a study already' "$rung" sweep "${tiny[@]}" --over train.lr=2^-3..2^1:3 --over 'model.width=[16,24]' --out sweep
# Another study in its folder is named by what differs, whether it was to be resumed or not.
for resume in '' --resume; do
  expect 1 '' 'sweep holds a study of other settings: train.lr was \[0.125, 0.5, 2.0\], now \[0.125, 0.5, 4.0\]. Resume' \
    "$rung" sweep "${tiny[@]}" --over 'train.lr=[0.125,0.5,4]' --over 'model.width=[16,24]' --out sweep $resume
  expect 1 '' 'other settings: model.depth was 2, now 3; train.warmup was [0-9.e-]+, now 0.5. Resume' \
    "$rung" sweep "${tiny[@]}" --set model.depth=3 train.warmup=0.5 --over train.lr=2^-3..2^1:3 --over 'model.width=[16,24]' --out sweep $resume
done
expect 1 '' 'sweep holds a sweep or a ladder, which has no page. .*: rung fit sweep/runs.csv --law NAME' "$rung" report sweep
expect 1 '' 'sweep holds a sweep, not a ladder' "$rung" ladder "${tiny[@]}" --shapes 16x2 --tokens-per-parameter 2 --set train.batch_tokens=512 data.repeat=true --out sweep
# Slips in names of parts, also where no name is near.
expect 2 '' "No ffn is called 'swigul'. Did you mean swiglu" "$rung" sweep "${tiny[@]}" --over 'model.ffn=[geglu,swigul]' --out slip
expect 2 '' "No optimizer is called 'lion'. Known are adamw, " "$rung" sweep "${tiny[@]}" --over 'train.optimizer=[adamw,lion]' --out slip

# Seeds tell a difference from noise; FLOPs that differ are said.
expect 0 "^one seed a setting: train.members=3" '' "$rung" sweep "${tiny[@]}" --over 'model.mixer=[attention,mlgru]' --out parts
expect 0 '^FLOPs of one run differ up to [0-9.]+ times' '' "$rung" sweep "${tiny[@]}" --set train.members=2 --over 'model.mixer=[attention,mamba2]' --out seeded
check "no best setting: $(cat out)" grep -Eq '^(attention|mamba2) +2 .*best$' out
expect 0 . '' "$rung" sweep "${tiny[@]}" --set train.members=2 --over 'model.mixer=[attention,mamba2]' --out seeded --resume --json
json "len(d['means'])==2 and d['means'][0]['behind']==0 and d['means'][1]['lo']<d['means'][1]['behind']<d['means'][1]['hi']"
json "abs(d['means'][0]['loss']-sum(r['L'] for r in d['runs'] if r['mixer']==d['means'][0]['settings']['model.mixer'])/2)<1e-12"
lines=(--over train.lr=2^-3..2^1:3 --over 'multipliers.alpha_attn=[0.5,2]')
expect 0 . '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search independent --out independent --json
json "d['points']==6 and len(d['runs'])==6 and d['winner']['train.lr'] in (0.125,0.5,2) and d['winner_loss']==min(r['L'] for r in d['runs']) and len(rows('independent/lines/runs.csv'))==2"
json "all(r['seed_sd']=='' for r in rows('independent/lines/runs.csv'))"  # they differ in a multiplier, not in seeds
cp out independent.json
expect 0 . '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search independent --out independent --json --resume
json "[r['L'] for r in d['runs']]==[r['L'] for r in load('independent.json')['runs']]"
expect 0 . '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search random --points 3 --out drawn --json
json "len(d['runs'])==3 and all(0.125<=r['lr']<=2 for r in d['runs']) and len({r['lr'] for r in d['runs']})==3"
# A sweep keeps its results alone: they are read back, also where the table was lost, and there is nothing to evaluate.
check "a sweep kept checkpoints" [ -z "$(find drawn -name checkpoints)" ]
cp out drawn.json && rm drawn/runs.csv
expect 0 . '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search random --points 3 --out drawn --json --resume
json "d['runs']==load('drawn.json')['runs'] and len(rows('drawn/runs.csv'))==3 and all(r['seconds']>0 for r in d['runs'])"
# Members share the time of their population, so that a table's runs sum to what training took.
sums() { json "math.isclose(sum(float(r['seconds']) for r in rows('$1/runs.csv')), sum(load('$1/runs/'+p+'/result.json')['seconds'] for p in os.listdir('$1/runs')), rel_tol=1e-9)"; }
sums drawn
check "a sweep that had ended was trained anew" [ "$(cat drawn/runs/*/log.jsonl | grep -c run_start)" = "$(ls drawn/runs | wc -l)" ]
expect 1 '' 'no finished checkpoint.*--keep-checkpoints' "$rung" eval drawn
expect 0 'winner of 3 points' '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search halving --points 2 --out halved
expect 0 'winner of 8 points' '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search bayesian --points 8 --out bayes
expect 2 '' 'depends on what it finds' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search halving --dry-run
expect 2 '' 'begins with learning rates' "$rung" sweep "${tiny[@]}" --over 'multipliers.alpha_attn=[0.5,2]' --search independent --out none
expect 2 '' 'takes its seeds from train.members' "$rung" sweep "${tiny[@]}" --over train.lr=2^-3..2^1:3 --over 'seed=[1,2]' --search random --out none
expect 0 . '' "$rung" sweep "${tiny[@]}" --over train.lr=2^-3..2^1:3 --over 'model.width=[16,24]' --out sweep --json --resume
json "d['runs']==load('sweep.json')['runs']"
expect 0 . '' "$rung" ladder "${tiny[@]}" --shapes 16x2,24x2 --tokens-per-parameter 2,4 --set train.batch_tokens=2048 data.repeat=true --out ladder --json
json "len(d['runs'])==4 and d['runs'][1]['D']>1.9*d['runs'][0]['D'] and d['runs'][2]['N']>d['runs'][0]['N'] and all(2<r['loss']<5.6 for r in d['runs'])"
json "[int(r['branch_step'])<int(r['steps']) for r in rows('ladder/runs.csv')]==[True]*4"
sums ladder
# A branch from the trunk is the run of its length, to the bit, whose warm-up the trunk shares.
cp out ladder.json
expect 1 '' 'other settings: model.width was \[16, 24\], now \[16, 32\]; train.tokens was .*; rungs.name was \["w16d2", "w24d2"\], now \["w16d2", "w32d2"\]; and 3 more' \
  "$rung" ladder "${tiny[@]}" --shapes 16x2,32x2 --tokens-per-parameter 2,4 --set train.batch_tokens=2048 data.repeat=true --out ladder --resume
expect 1 '' 'other settings: train.tokens was .*; rungs.finishes.steps was \[.*\], now \[.*\]; ' \
  "$rung" ladder "${tiny[@]}" --shapes 16x2,24x2 --tokens-per-parameter 2,5 --set train.batch_tokens=2048 data.repeat=true --out ladder --resume
for branch in 0 1; do
  read -r tokens warmup < <(python3 -c "import json
print(json.load(open('ladder.json'))['runs'][$branch]['D'], json.load(open('ladder/study.json'))['rungs'][0]['finishes'][$branch]['warmup'])")
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.batch_tokens=2048 data.repeat=true train.tokens="$tokens" train.warmup="$warmup" --out "branch$branch" --json
  json "d['loss']==load('ladder.json')['runs'][$branch]['loss']"
done
expect 0 'FLOPs' '' "$rung" ladder "${tiny[@]}" --shapes 16x2 --tokens-per-parameter 4 --dry-run
expect 0 . '' "$rung" eval sweep --member 1
expect 2 '' 'learning rate, decay, multipliers and seed only.*Received model.ffn of \["swiglu", "geglu"\]' \
  "$rung" ladder "${tiny[@]}" --set 'model.ffn=[swiglu,geglu]' 'train.lr=[0.5,1]' --shapes 16x2 --tokens-per-parameter 4 --out bad
expect 2 '' 'WIDTHxDEPTH' "$rung" ladder "${tiny[@]}" --shapes 16 --tokens-per-parameter 4 --out bad
check "bad input left a folder" [ ! -e bad ]

# Climbs that train nothing here: a share of time that is too small, and a target that was trained elsewhere.
expect 1 '' 'too small to climb.*In the climb of attention, one of 2 alternatives that share the budget' \
  "$rung" climb --data synthetic:vocabulary=32 --set model.depth=1 model.context=16 --compare attention,model.ffn=gelu --budget 1s --out versus
mkdir elsewhere && echo '{"loss":2,"lo":1.9,"hi":2.1,"target":{"N":1,"D":2,"C":12,"width":8}}' >elsewhere/prediction.json
expect 0 'predicted 2.0000 \(1.9000 .. 2.1000\), measured 2.5000: error -20.00 %, outside the interval' '' \
  "$rung" verify elsewhere --measured 2.5
check "a warning of an ordinary miss" [ "$(grep -c warning out)" = 0 ]
expect 0 '^warning: 165 lies 1.63e\+03 half widths .* a perplexity of 165 is 5.1059 of them, 165 bits a token are 114.3693' '' \
  "$rung" verify elsewhere --measured 165

echo "$checks checks, $failures failures"
[ $failures = 0 ]
