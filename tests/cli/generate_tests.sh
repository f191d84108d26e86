#!/bin/bash
# `rung generate` and `rung logits` on the real program: samples, several at once, nuclei and floors; what `audit` counts.
# Usage: generate_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_text text.txt

expect 0 . '' "$rung" train "${tiny[@]}" --out one --json
expect 0 '^first' '' "$rung" generate one --prompt first --tokens 20 --temperature 0.8 --top-k 5 --quiet
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --seed 3 --json --quiet
cp out sample.json
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --seed 3 --json --quiet
json "d['text']==load('sample.json')['text'] and d['tokens']==12 and d['tokens_per_second']>0"
# Several texts at once, of which the first is the one that is made alone; nuclei and floors; bad input.
expect 0 . '' "$rung" generate one --prompt ab --tokens 12 --seed 3 --samples 3 --json --quiet
json "d['texts'][0]==load('sample.json')['text'] and len(set(d['texts']))==3 and d['tokens']==36"
# The synthetic language parts its tokens by blanks: token by token they make the text of all at once.
expect 0 . '' "$rung" train "${tiny[@]/text.txt/synthetic}" --out numbers --json
expect 0 . '' "$rung" generate numbers --prompt '1 2' --tokens 12 --seed 3 --json --quiet
cp out numbers.json
expect 0 . '' "$rung" generate numbers --prompt '1 2' --tokens 12 --seed 3 --samples 2 --json --quiet
json "d['texts'][0]==load('numbers.json')['text'] and len(d['texts'][0].split())==12"
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
expect 2 '' 'seed takes a whole number from 0. Received -3' "$rung" generate one --seed -3
# What has no ternary form is refused.
expect 0 . '' "$rung" audit --set preset=llama --json
cp out dense.json
expect 0 . '' "$rung" audit --set preset=llama model.linear=bitnet --json
json "d['N']==load('dense.json')['N'] and d['flops_per_token']==load('dense.json')['flops_per_token']"
expect 2 '' 'moe has no ternary form' "$rung" audit --set model.linear=bitnet model.ffn=moe
expect 2 '' 'linear is one of dense, bitnet, ternary' "$rung" audit --set model.linear=binary
expect 2 '' 'mamba2 has no norm inside' "$rung" audit --set model.mixer=mamba2 model.sub_norm=true
expect 2 '' 'Did you mean mamba2?' "$rung" audit --set model.mixer=mamba3
expect 2 '' 'multiple of the layers' "$rung" audit --set "model.pattern=mamba2 x7, attention"
expect 2 '' 'layers that model.ffn_pattern lists' "$rung" audit --set "model.ffn_pattern=none x7, swiglu"
expect 0 . '' "$rung" audit --set model.mixer=mamba2 model.ffn=none --json
json "not [t for t in d['tensors'] if 'ffn' in t['name']] and d['N'] < 1e6"
expect 0 '^none' '' "$rung" ffns
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
expect 1 '' 'does not exist' "$rung" generate nowhere

echo "$checks checks, $failures failures"
[ $failures = 0 ]
