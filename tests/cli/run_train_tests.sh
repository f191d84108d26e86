#!/bin/bash
# The verbs that train and read runs, on the real program: results, files, resumption, bad input.
# Usage: run_train_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"

write_text text.txt
tiny=(--data text.txt --set model.width=16 model.depth=2 model.context=32 train.batch_tokens=512
  train.tokens=20480 train.eval_tokens=2048 data.held_out=0.2 train.lr=0.5 --threads 2 --quiet)

# One run: the contract's keys, its files, and eval of the same text.
expect 0 . '' "$rung" train "${tiny[@]}" --out one --json
json "set('loss bits_per_byte tokens flops seconds tokens_per_second mfu out members'.split()) <= set(d)"
json "2.0 < d['loss'] < 5.5 and d['tokens']==20480 and d['flops']>1e8 and d['members'][0]['status']=='ok' and abs(d['bits_per_byte']-d['loss']/math.log(2)) < 0.2"
json "all(os.path.exists(os.path.join('one', p)) for p in ['config.toml','log.jsonl','checkpoints/000040/state.json'])"
cp out first.json
expect 0 . '' "$rung" eval one --data text.txt --json --quiet
json "d['loss']==load('first.json')['loss'] and d['step']==40"
expect 1 '' 'holds a run already' "$rung" train "${tiny[@]}" --out one
expect 1 '' 'another configuration: train.lr' "$rung" train "${tiny[@]}" --set train.lr=0.25 --out one --resume
expect 0 '^first' '' "$rung" generate one --prompt first --tokens 20 --temperature 0.8 --top-k 5 --quiet
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --seed 3 --json --quiet
cp out sample.json
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --seed 3 --json --quiet
json "d['text']==load('sample.json')['text'] and d['tokens']==12 and d['tokens_per_second']>0"
# Moments in fewer bits are saved as they are, and a run goes on from them; what keeps another state refuses.
for moments in bf16 fp8; do
  rm -rf small resumed
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.moments=$moments train.checkpoint_every=10 --out small --json
  json "d['loss'] < 5.0 and abs(d['loss'] - load('first.json')['loss']) < 0.2 and d['loss'] != load('first.json')['loss']"
  cp out small.json
  cp -r small resumed
  rm -rf resumed/result.json resumed/checkpoints/0000{20,30,40}
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.moments=$moments train.checkpoint_every=10 --out resumed --resume --json
  json "d['loss']==load('small.json')['loss']"
  cmp -s small/checkpoints/000040/optimizer.safetensors resumed/checkpoints/000040/optimizer.safetensors &&
    checks=$((checks + 1)) || { failures=$((failures + 1)); echo "FAILED: a resumed run's $moments moments"; }
done
expect 0 . '' "$rung" train "${tiny[@]}" --set train.moments=fp8 --out planned --dry-run --json
cp out planned.json
expect 0 . '' "$rung" train "${tiny[@]}" --out planned --dry-run --json
json "0.37 < load('planned.json')['groups'][0]['memory']['optimizer'] / d['groups'][0]['memory']['optimizer'] < 0.39"
expect 2 '' 'muon keeps its state in fp32' "$rung" train "${tiny[@]}" --set train.moments=bf16 train.optimizer=muon --out refused
expect 2 '' 'train.moments is one of fp32, bf16, fp8' "$rung" audit --set train.moments=int8
# Several texts at once, of which the first is the one that is made alone; nuclei and floors; bad input.
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --seed 3 --samples 3 --json --quiet
json "d['texts'][0]==load('sample.json')['text'] and len(set(d['texts']))==3 and d['tokens']==36"
expect 0 '^.1. ab' '' "$rung" generate one --prompt ab --tokens 5 --samples 2 --quiet
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --temperature 0 --json --quiet
cp out greedy.json
for how in '--top-p 0.001' '--min-p 1' '--top-k 1'; do
  expect 0 . '' "$rung" generate one --prompt ab --tokens 12 $how --json --quiet
  json "d['text']==load('greedy.json')['text']"
done
expect 2 '' 'Received 1.5' "$rung" generate one --top-p 1.5
expect 2 '' 'Received -0.5' "$rung" generate one --min-p -0.5
expect 2 '' 'Received 0' "$rung" generate one --samples 0
# Greedy text with a cache is what the whole sequence's logits say; a recurrent model goes on beyond the context.
for mixer in model.mixer=mamba2 model.mixer=mlgru "model.pattern=mamba2, attention" "model.pattern=mlstm, slstm" "model.ffn_pattern=none, swiglu" "model.ffn_pattern=moe, peer"; do
  rm -rf mixed
  expect 0 . '' "$rung" train "${tiny[@]}" --set "$mixer" --out mixed --json
  json "d['loss'] < 4.5 and d['members'][0]['status']=='ok'"
  expect 0 . '' "$rung" generate mixed --prompt abcabc --tokens 40 --temperature 0 --json --quiet
  json "d['tokens']==40"
  cp out greedy.json
  python3 - <<'PYTHON'
import json, struct
text = list(('abcabc' + json.load(open('greedy.json'))['text']).encode())[:32]
data = struct.pack('<32q', *text)
head = json.dumps({'tokens': {'dtype': 'I64', 'shape': [1, 32], 'data_offsets': [0, len(data)]}}).encode()
head += b' ' * (-len(head) % 8)
open('greedy.safetensors', 'wb').write(struct.pack('<Q', len(head)) + head + data)
PYTHON
  expect 0 . '' "$rung" logits mixed --tokens greedy.safetensors --out greedy_logits.safetensors --quiet
  python3 - <<'PYTHON' && checks=$((checks + 1)) || { failures=$((failures + 1)); echo "FAILED: greedy text of $mixer"; }
import json, struct, sys
def read(path, code):
    raw = open(path, 'rb').read()
    size = struct.unpack('<Q', raw[:8])[0]
    return struct.unpack('<%d%s' % ((len(raw) - 8 - size) // struct.calcsize(code), code), raw[8 + size:])
tokens, logits = read('greedy.safetensors', 'q'), read('greedy_logits.safetensors', 'f')
width = len(logits) // 32
rows = [logits[i * width:(i + 1) * width] for i in range(32)]
sys.exit(0 if all(rows[i].index(max(rows[i])) == tokens[i + 1] for i in range(5, 31)) else 1)
PYTHON
done
# Ternary maps: they train, generate and are counted as dense ones; what has none is refused.
for preset in bitnet matmulfree; do
  rm -rf ternary
  expect 0 . '' "$rung" train "${tiny[@]}" --set preset=$preset --out ternary --json
  json "d['loss'] < 4.5 and d['members'][0]['status']=='ok'"
  expect 0 . '' "$rung" generate ternary --prompt abc --tokens 40 --temperature 0 --json --quiet
  json "d['tokens']==40"
done
expect 0 . '' "$rung" audit --set preset=llama --json
cp out dense.json
expect 0 . '' "$rung" audit --set preset=llama model.linear=bitnet --json
json "d['N']==load('dense.json')['N'] and d['flops_per_token']==load('dense.json')['flops_per_token']"
expect 2 '' 'moe has no ternary form' "$rung" audit --set model.linear=bitnet model.ffn=moe
expect 2 '' 'linear is one of dense, bitnet, ternary' "$rung" audit --set model.linear=binary
expect 2 '' 'mamba2 has no norm inside' "$rung" audit --set model.mixer=mamba2 model.sub_norm=true
expect 1 '' 'model.linear' "$rung" export ternary --out folder
expect 2 '' 'Did you mean .mamba2.' "$rung" audit --set model.mixer=mamba3
expect 2 '' 'multiple of the layers' "$rung" audit --set "model.pattern=mamba2 x7, attention"
expect 2 '' 'layers that model.ffn_pattern lists' "$rung" audit --set "model.ffn_pattern=none x7, swiglu"
expect 0 . '' "$rung" audit --set model.mixer=mamba2 model.ffn=none --json
json "not [t for t in d['tensors'] if 'ffn' in t['name']] and d['N'] < 1e6"
expect 0 '^none' '' "$rung" ffns
# The last run above had a mixture and a retrieval: their use of experts stands in the log; generation, resumption and counts hold.
python3 - <<'PYTHON' && checks=$((checks + 1)) || { failures=$((failures + 1)); echo "FAILED: parts in the log"; }
import json, sys
parts = [json.loads(line) for line in open('mixed/log.jsonl') if '"eval"' in line][-1]['parts']
sys.exit(0 if 0.3 < parts['0.experts_used'][0] <= 1 and 0.9 < parts['0.balance_loss'][0] < 8 and 0 < parts['1.experts_used'][0] <= 1
         and parts['1.experts_unevenness'][0] > 0 else 1)
PYTHON
expect 0 . '' "$rung" eval mixed --data text.txt --json --quiet
expect 2 '' 'must be a square' "$rung" audit --set model.ffn=peer model.peer_experts=1000
expect 2 '' 'moe_gates is one of chosen, all' "$rung" audit --set model.moe_gates=choosen
expect 0 . '' "$rung" audit --set model.ffn=moe model.moe_experts=16 --json
json "d['N'] < d['N_total'] / 3 and len([t for t in d['tensors'] if t['name'].startswith('blocks.0.ffn.experts.')])==32"
expect 2 '' 'must be even' "$rung" audit --set model.mixer=mlstm-large model.position=none model.head_dim=1
expect 0 . '' "$rung" audit --set model.mixer=mamba2 --json
json "[t['role'] for t in d['tensors'] if t['name']=='blocks.0.mixer.A_log']==['channel'] and [t['decay'] for t in d['tensors'] if t['name']=='blocks.0.mixer.D']==[0]"
python3 - <<'PYTHON'
import json, struct
def write(path, values, shape):
    data = struct.pack('<%dq' % len(values), *values)
    head = json.dumps({'tokens': {'dtype': 'I64', 'shape': shape, 'data_offsets': [0, len(data)]}}).encode()
    head += b' ' * (-len(head) % 8)
    open(path, 'wb').write(struct.pack('<Q', len(head)) + head + data)
write('tokens.safetensors', [97, 98, 32, 99, 100, 46], [2, 3])
write('beyond.safetensors', [97, 9800], [1, 2])
PYTHON
expect 0 '\[2, 3, 256\]' '' "$rung" logits one --tokens tokens.safetensors --out logits.safetensors
expect 1 '' 'outside the vocabulary of 256. Received 9800' "$rung" logits one --tokens beyond.safetensors --out x.safetensors

# Killed and resumed: bitwise the undisturbed run.
expect 0 . '' "$rung" train "${tiny[@]}" --set train.tokens=102400 --out whole --json
cp out whole.json
"$rung" train "${tiny[@]}" --set train.tokens=102400 train.checkpoint_every=5 --out torn --json >out 2>err &
pid=$!
for _ in $(seq 400); do [ -e torn/checkpoints/000020/state.json ] && break; sleep 0.02; done
kill -9 $pid
wait $pid 2>/dev/null
checks=$((checks + 1))
[ -e torn/result.json ] && { failures=$((failures + 1)); echo "FAILED: the run ended before it was killed"; }
expect 0 . '' "$rung" train "${tiny[@]}" --set train.tokens=102400 train.checkpoint_every=5 --out torn --resume --json
json "d['loss']==load('whole.json')['loss'] and d['members'][0]['training_loss']==load('whole.json')['members'][0]['training_loss']"

# Interrupted: saved, status 130 or 143, and resumed bitwise.
set -m
"$rung" train "${tiny[@]}" --set train.tokens=102400 --out stopped --json >out 2>err &
pid=$!
for _ in $(seq 400); do [ "$(cat stopped/log.jsonl 2>/dev/null | wc -l)" -gt 5 ] && break; sleep 0.02; done
kill -TERM $pid
wait $pid
got=$?
set +m
checks=$((checks + 1))
[ $got = 143 ] || { failures=$((failures + 1)); echo "FAILED: SIGTERM: status $got, wanted 143"; }
json "d['status']=='interrupted'"
expect 0 . '' "$rung" train "${tiny[@]}" --set train.tokens=102400 --out stopped --resume --json
json "d['loss']==load('whole.json')['loss']"

# Populations: lists, seeds, groups of different shapes, and one member of them.
expect 0 . '' "$rung" train "${tiny[@]}" --set 'train.lr=[0.5,1e4]' train.members=2 train.clip=0 --out many --json
json "len(d['members'])==4 and [m['seed'] for m in d['members']]==[1,2,1,2] and d['members'][0]['loss']==load('first.json')['loss']"
expect 0 . '' "$rung" train "${tiny[@]}" --set 'train.lr=[0.5,1e6]' model.norm_gain=true train.warmup=0 --out half --json
json "[m['status'] for m in d['members']]==['ok','diverged'] and d['best']==0 and d['members'][1]['loss'] is None and d['loss']==d['members'][0]['loss']"
cp out half.json
expect 0 . '' "$rung" train "${tiny[@]}" --set model.norm_gain=true train.warmup=0 --out alone --json
json "d['loss']==load('half.json')['loss']"
expect 1 '' 'Member 1 of half diverged' "$rung" eval half --member 1
expect 0 . '2 populations' "$rung" train "${tiny[@]:0:${#tiny[@]}-1}" --set 'model.width=[16,24]' --out shapes --json
json "len(d['members'])==2 and d['members'][0]['loss']==load('first.json')['loss'] and d['members'][1]['width']==24"
cp out shapes.json
expect 0 . '' "$rung" eval shapes --member 1 --json --quiet
json "d['loss']==load('shapes.json')['members'][1]['loss']"
expect 2 '' 'members 0 to 1. Received --member 2' "$rung" eval shapes --member 2
expect 2 '' 'members 0 to 3. Received --member 9' "$rung" eval many --member 9

# Dry runs train nothing.
expect 0 'FLOPs' '' "$rung" train "${tiny[@]}" --dry-run
expect 0 . '' "$rung" train "${tiny[@]}" --out dry --dry-run --json
json "d['groups'][0]['N']==2*(4*256+3*16*48)+256*16 and d['flops']==load('first.json')['flops'] and not os.path.exists('dry')"
# What a run will hold: parts of it, a budget that cuts a population, and one that nothing fits.
json "abs(sum(d['groups'][0]['memory'][k] for k in 'weights gradients optimizer pass other'.split())-d['bytes']) < 1 and d['groups'][0]['memory']['counted']"
cp out whole.json
budget=$(python3 -c "import json; print(int(1.5*json.load(open('whole.json'))['bytes']))")
expect 0 . '' "$rung" train "${tiny[@]}" --set train.members=4 train.memory=$budget --dry-run --json
json "len(d['groups']) > 1 and sum(g['members'] for g in d['groups'])==4 and d['bytes'] <= $budget"
expect 2 '' 'train.memory' "$rung" train "${tiny[@]}" --set train.memory=1000 --dry-run
expect 0 . '' "$rung" train "${tiny[@]}" --set train.members=4 precision=bf16 --device cuda --dry-run --json
json "d['groups'][0]['memory']['held'] > d['bytes'] and d['groups'][0]['memory']['sequences']==16"
# A fixed order of a GPU's sums holds some of them side by side; on a CPU there is no other.
for order in true false; do
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.deterministic=$order precision=bf16 model.width=256 model.head_dim=128 model.context=512 train.batch_tokens=1024 --device cuda --dry-run --json
  cp out order-$order.json
done
json "load('order-true.json')['groups'][0]['memory']['pass'] > load('order-false.json')['groups'][0]['memory']['pass']"
expect 0 . '' "$rung" train "${tiny[@]}" --set train.deterministic=false --out any-order --json
json "d['loss']==load('first.json')['loss'] and 'deterministic = false' in open('any-order/config.toml').read()"
# Blocks computed anew give the same numbers; formats give others, and are kept through a checkpoint.
expect 0 . '' "$rung" train "${tiny[@]}" --set train.recompute=1 --out anew --json
json "d['loss']==load('first.json')['loss']"
expect 0 . '' "$rung" train "${tiny[@]}" --set formats.weight=e4m3 formats.activation='e4m3 tensor' formats.gradient='e5m2 stochastic' formats.keep=out --out formats --json
json "d['loss']!=load('first.json')['loss'] and abs(d['loss']-load('first.json')['loss']) < 0.1"
cp out formats.json
expect 0 . '' "$rung" eval formats --data text.txt --json --quiet
json "d['loss']==load('formats.json')['loss']"
expect 2 '' "formats.weight: .*'e9m9'" "$rung" train "${tiny[@]}" --set formats.weight=e9m9 --out no

# Audits of two parametrisations.
expect 0 . '' "$rung" audit --set parametrisation=mup model.width=128 --json
json "{t['name']: t['role'] for t in d['tensors']}['readout']=='readout' and all(set('name role fan_in fan_out A B C decay epsilon'.split()) <= set(t) for t in d['tensors'])"
cp out mup.json
expect 0 . '' "$rung" audit --set parametrisation=standard model.width=128 --json
json "[t['name'] for t in d['tensors']]==[t['name'] for t in load('mup.json')['tensors']] and d['tensors']!=load('mup.json')['tensors']"
expect 0 '^readout +readout' '' "$rung" audit

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
expect 0 'promises nothing' '' "$rung" coord "${coord[@]}" --widths 16,32 --parametrisation standard
expect 3 'FAILED' '' "$rung" coord "${coord[@]}" --widths 16,32,64 --parametrisation mup --set train.lr=0.02 train.weight_decay=1 train.decay_rule=coupled
expect 3 . '' "$rung" coord "${coord[@]}" --widths 16,32,64 --parametrisation mup --set train.lr=0.02 train.weight_decay=1 train.decay_rule=coupled --json
json "d['status']=='refused' and all(r.startswith('decay of') for r in d['reasons']) and d['failed']==len(d['reasons'])>=4"
expect 0 'FLOPs' '' "$rung" coord "${coord[@]}" --widths 16,32 --dry-run
expect 2 '' 'two widths or two depths' "$rung" coord "${coord[@]}" --widths 16
expect 2 '' 'whole numbers from 1' "$rung" coord "${coord[@]}" --widths 16,x
expect 2 '' '2 seeds' "$rung" coord "${coord[@]}" --widths 16,32 --seeds 1

# Sweep and ladder.
expect 0 . '' "$rung" sweep "${tiny[@]}" --over train.lr=2^-3..2^1:3 --over 'model.width=[16,24]' --out sweep --json --keep-checkpoints
json "len(d['runs'])==6 and len(d['optima'])==2 and d['best']['L']==min(r['L'] for r in d['runs']) and len(rows('sweep/runs.csv'))==6"
json "rows('sweep/runs.csv')[0]['kind']=='sweep' and float(rows('sweep/runs.csv')[0]['C'])==d['runs'][0]['C'] and list(rows('sweep/runs.csv')[0])[:5]==['run','member','kind','status','used']"
json "[t['key'] for t in d['transfers']]==['model.width'] and [p['value'] for p in d['transfers'][0]['points']]==[16,24] and d['transfers'][0]['lo']<=d['transfers'][0]['drift']<=d['transfers'][0]['hi']"
cp out sweep.json
expect 0 'diverged' '' "$rung" sweep "${tiny[@]}" --over 'train.lr=[0.5,1e6]' --over 'model.norm_gain=[false,true]' --set train.warmup=0 --out rough
expect 1 '' 'holds a study already' "$rung" sweep "${tiny[@]}" --over train.lr=2^-3..2^1:3 --out sweep
lines=(--over train.lr=2^-3..2^1:3 --over 'multipliers.alpha_attn=[0.5,2]')
expect 0 . '' "$rung" sweep "${tiny[@]}" "${lines[@]}" --search independent --out independent --json
json "d['points']==6 and len(d['runs'])==6 and d['winner']['train.lr'] in (0.125,0.5,2) and d['winner_loss']==min(r['L'] for r in d['runs']) and len(rows('independent/lines/runs.csv'))==2"
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
# A branch from the trunk is the run of its length, to the bit, whose warm-up the trunk shares.
cp out ladder.json
for branch in 0 1; do
  read -r tokens warmup < <(python3 -c "import json
print(json.load(open('ladder.json'))['runs'][$branch]['D'], json.load(open('ladder/study.json'))['rungs'][0]['finishes'][$branch]['warmup'])")
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.batch_tokens=2048 data.repeat=true train.tokens="$tokens" train.warmup="$warmup" --out "branch$branch" --json
  json "d['loss']==load('ladder.json')['runs'][$branch]['loss']"
done
expect 0 'FLOPs' '' "$rung" ladder "${tiny[@]}" --shapes 16x2 --tokens-per-parameter 4 --dry-run

# Tables and the machine.
for table in mixers ffns optimizers formats; do
  expect 0 . '' "$rung" $table --json
  json "len(d['$table'])>0 and all(e['name'] and e['summary'] for e in d['$table'])"
done
expect 0 . '' "$rung" doctor --json
json "d['matmul_flops']>1e8 and d['cores']>0"

# Bad input: one clear line and the right status.
expect 2 '' 'Did you mean' "$rung" train "${tiny[@]}" --set model.widht=16 --out bad
expect 2 '' 'model.head_dim' "$rung" train "${tiny[@]}" --set model.width=18 model.head_dim=4 --out bad
expect 2 '' 'batch_tokens must be a multiple' "$rung" train "${tiny[@]}" --set train.batch_tokens=500 --out bad
expect 2 '' '--out is missing' "$rung" train "${tiny[@]}"
expect 2 '' 'fp32 or fp64' "$rung" train "${tiny[@]}" --set precision=bf16 --out bad
expect 1 '' 'missing.txt' "$rung" train "${tiny[@]:2}" --data missing.txt --out bad
: >empty.txt
expect 1 '' 'empty.txt' "$rung" train "${tiny[@]:2}" --data empty.txt --out bad
expect 1 '' 'distinct training tokens' "$rung" train "${tiny[@]}" --set train.tokens=1e9 --out bad
expect 1 '' 'Every member diverged' "$rung" train "${tiny[@]}" --set model.norm_gain=true train.lr=1e6 train.warmup=0 --out nan
mkdir hollow
expect 1 '' 'no finished checkpoint' "$rung" eval hollow
expect 0 . '' "$rung" eval sweep --member 1
expect 1 '' 'does not exist' "$rung" generate nowhere
expect 2 '' 'WIDTHxDEPTH' "$rung" ladder "${tiny[@]}" --shapes 16 --tokens-per-parameter 4 --out bad
printf 'xx' | dd of=one/checkpoints/000040/weights.safetensors bs=1 seek=20 conv=notrunc 2>/dev/null
truncate -s 2000 one/checkpoints/000040/weights.safetensors
expect 1 '' 'weights.safetensors' "$rung" eval one
# The benchmark: a round without a rival; the GPU's cases are skipped, or refused, on a host without one.
unset RUNG_PYTHON
expect 0 . 'no rival' "$rung" bench single-w256 --steps 2 --rounds 1 --threads 2 --json
json "[c['case'] for c in d['cases']]==['single-w256'] and d['cases'][0]['rate']>0 and d['cases'][0]['ratio'] is None"
expect 0 . 'no rival' "$rung" bench single-w256 --steps 1 --rounds 1 --threads 2 --profile traces --json
json "(lambda p: abs(sum(c['share'] for c in p['classes'])-1)<1e-6 and {'linear','attention','activation','norm','loss','embedding','optimizer'}<={c['class'] for c in p['classes']} and any(e.get('name')=='rung::attention' for e in __import__('json').load(open(p['trace']))['traceEvents']))(d['cases'][0]['profile'])"
expect 2 '' 'a case for cpu' "$rung" bench single-w256 --device cuda
expect 2 '' 'a case for cuda' "$rung" bench gpu-w64 --device cpu
expect 2 '' 'rounds is from 1' "$rung" bench single-w256 --rounds 0
if "$rung" doctor --json --quiet | grep -q '"cuda": false'; then
  expect 0 . 'skipped gpu-w64, gpu-1B: ' "$rung" bench gpu-w64 gpu-1B --json
  json "d['cases']==[] and [c['case'] for c in d['skipped']]==['gpu-w64', 'gpu-1B']"
  expect 1 '' 'device' "$rung" bench gpu-w64 --device cuda
fi
checks=$((checks + 1))
[ ! -e bad ] || { failures=$((failures + 1)); echo "FAILED: bad input left a folder"; }

echo "$checks checks, $failures failures"
[ $failures = 0 ]
