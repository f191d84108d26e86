#!/bin/bash
# `rung train` and what it leaves, on the real program: results, files, populations, dry runs, formats, bad input;
# the tables of parts, the machine and the benchmark.
# Usage: run_train_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_text text.txt

# One run: the contract's keys, its files, and eval of the same text.
expect 0 . '' "$rung" train "${tiny[@]}" --out one --json
json "set('loss bits_per_byte tokens flops seconds tokens_per_second mfu out members'.split()) <= set(d)"
json "2.0 < d['loss'] < 5.5 and d['tokens']==20480 and d['flops']>1e8 and d['members'][0]['status']=='ok' and abs(d['bits_per_byte']-d['loss']/math.log(2)) < 0.2"
json "all(os.path.exists(os.path.join('one', p)) for p in ['config.toml','log.jsonl','checkpoints/000040/state.json'])"
cp out first.json
expect 0 . '' "$rung" eval one --data text.txt --json --quiet
json "d['loss']==load('first.json')['loss'] and d['step']==40"
# A text's name that is not UTF-8 could not stand in the run's files; its folder's stands nowhere.
latin=$'caf\xe9'
cp text.txt "$latin.txt"
expect 2 '' 'data.path takes UTF-8. Received caf' "$rung" train "${tiny[@]/text.txt/$latin.txt}" --out refused
check "a run that was refused left a folder" [ ! -e refused ]
expect 0 . '' "$rung" train "${tiny[@]}" --out "$latin" --json
json "d['loss']==load('first.json')['loss']"
# Another text is read as the run's own was, a share of its documents, or whole: one document as well.
expect 0 'bits a byte on 2048 of [0-9]+ held-out tokens' '' "$rung" eval one --data text.txt --quiet
expect 0 . '' "$rung" eval one --data text.txt --held-out 1 --tokens 1e9 --json --quiet
json "abs(d['tokens']-os.path.getsize('text.txt'))<300 and d['unigram_loss'] is None and abs(d['loss']-load('first.json')['loss'])<0.2"
head -c 5000 text.txt | tr -d '#' >letter.txt
expect 1 '' 'holds one document; .*--held-out 1' "$rung" eval one --data letter.txt
expect 0 . '' "$rung" eval one --data letter.txt --held-out 1 --json --quiet
json "d['tokens']==2048"
expect 2 '' 'held-out lies above 0 and at most at 1. Received 1.5' "$rung" eval one --held-out 1.5
expect 1 '' 'holds a run already' "$rung" train "${tiny[@]}" --out one
expect 1 '' 'one holds training, which has no page. Its curves: tensorboard --logdir one' "$rung" report one
expect 1 '' 'another configuration: train.lr' "$rung" train "${tiny[@]}" --set train.lr=0.25 --out one --resume
expect 1 '' 'another configuration: train.lr was 0.5, now \[0.25, 0.5\]' \
  "$rung" train "${tiny[@]}" --set 'train.lr=[0.25,0.5]' --out one --resume

# A text in a configuration's place, and a cache that cannot be kept.
expect 2 '' 'text.txt, line [0-9]+, .*A text is given with --data' "$rung" train text.txt --out none
expect 1 '' 'Cannot make the cache folder /proc/none/data: .*Set RUNG_CACHE to a folder that can be written' \
  env RUNG_CACHE=/proc/none "$rung" train "${tiny[@]}" --out none

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
# Which member is taken where none is asked for, and the best one.
best=$(python3 -c 'import json; print(json.load(open("shapes.json"))["best"])')
expect 0 . "^member 0 of 2$([ "$best" = 0 ] && echo ', which has the least loss' || echo "; the least loss has --member $best")$" "$rung" eval shapes
expect 0 . '^member 0 of 2, which has the least loss' "$rung" eval half
expect 0 . '' "$rung" eval one
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
here=$("$rung" doctor --json --quiet | grep -q '"cuda": false' && echo False || echo True)
json "d['trains_here']==$here and (d['trains_here'] or d['seconds'] is None)"
json "d['groups'][0]['memory']['held'] > d['bytes'] and d['groups'][0]['memory']['sequences']==16"
# A fixed order of a GPU's sums holds some of them side by side; on a CPU there is no other.
for order in true false; do
  expect 0 . '' "$rung" train "${tiny[@]}" --set train.deterministic=$order precision=bf16 model.width=256 model.head_dim=128 model.context=512 train.batch_tokens=1024 --device cuda --dry-run --json
  cp out order-$order.json
done
json "load('order-true.json')['groups'][0]['memory']['pass'] > load('order-false.json')['groups'][0]['memory']['pass']"
expect 0 . '' "$rung" train "${tiny[@]}" --set train.deterministic=false --out any-order --json
json "d['loss']==load('first.json')['loss'] and 'deterministic = false' in open('any-order/config.toml').read()"
# Moments in fewer bits hold less; what keeps another state refuses them.
expect 0 . '' "$rung" train "${tiny[@]}" --set train.moments=fp8 --out planned --dry-run --json
cp out planned.json
expect 0 . '' "$rung" train "${tiny[@]}" --out planned --dry-run --json
json "0.37 < load('planned.json')['groups'][0]['memory']['optimizer'] / d['groups'][0]['memory']['optimizer'] < 0.39"
expect 2 '' 'muon keeps its state in fp32' "$rung" train "${tiny[@]}" --set train.moments=bf16 train.optimizer=muon --out refused
expect 2 '' 'train.moments is one of fp32, bf16, fp8' "$rung" audit --set train.moments=int8
# Blocks computed anew give the same numbers; formats give others, and are kept through a checkpoint.
expect 0 . '' "$rung" train "${tiny[@]}" --set train.recompute=1 --out anew --json
json "d['loss']==load('first.json')['loss']"
expect 0 . '' "$rung" train "${tiny[@]}" --set formats.weight=e4m3 formats.activation='e4m3 tensor' formats.gradient='e5m2 stochastic' formats.keep=out --out formats --json
json "d['loss']!=load('first.json')['loss'] and abs(d['loss']-load('first.json')['loss']) < 0.1"
cp out formats.json
expect 0 . '' "$rung" eval formats --data text.txt --json --quiet
json "d['loss']==load('formats.json')['loss']"
expect 2 '' "formats.weight: .*'e9m9'" "$rung" train "${tiny[@]}" --set formats.weight=e9m9 --out no

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
expect 2 '' 'Did you mean train.gradients' "$rung" bench single-w256 --set train.gradient=bf16
expect 2 '' 'one value a key' "$rung" bench single-w256 --set 'train.moments=[bf16,fp8]'
if "$rung" doctor --json --quiet | grep -q '"cuda": false'; then
  expect 0 . 'skipped gpu-w64, gpu-1B: ' "$rung" bench gpu-w64 gpu-1B --json
  json "d['cases']==[] and [c['case'] for c in d['skipped']]==['gpu-w64', 'gpu-1B']"
  expect 1 '' 'device' "$rung" bench gpu-w64 --device cuda
fi
check "bad input left a folder" [ ! -e bad ]

echo "$checks checks, $failures failures"
[ $failures = 0 ]
