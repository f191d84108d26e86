#!/bin/bash
# Multi-token prediction and drafts, on the real program: training, the log, generation with and without drafts, bad input.
# Usage: speculate_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"

# Lines that repeat, so that drafts are right now and then.
python3 - <<'PYTHON'
import random
random.seed(2)
words = [''.join(random.choice('abcdef') for _ in range(4)) for _ in range(12)]
with open('text.txt', 'w') as f:
    for document in range(60):
        f.write('# Document %d\n\n' % document)
        for _ in range(60):
            f.write(' '.join(words[(document + i * i) % 12] for i in range(8)) + '.\n')
PYTHON
tiny=(--data text.txt --set model.width=16 model.depth=4 model.context=64 train.batch_tokens=512 train.tokens=20480
  train.eval_tokens=2048 data.held_out=0.2 train.lr=0.5 precision=fp64 --threads 2 --quiet)

# Three heads: the counts of the plain model of that depth, more FLOPs, a loss for each head in the log.
expect 0 . '' "$rung" audit "${tiny[@]:2:7}" --json
cp out plain.json
expect 0 . '' "$rung" audit "${tiny[@]:2:7}" model.mtp_heads=3 --json
json "d['N']==load('plain.json')['N'] and abs(d['flops_per_token']-load('plain.json')['flops_per_token']-6*16*256*(63+62)/64)<1e-3 and len(d['multipliers']['residual'])==8"
expect 0 . '' "$rung" train "${tiny[@]}" --set model.mtp_heads=3 --out heads --json
json "d['loss'] < 3 and d['members'][0]['status']=='ok'"
json "[e for e in log('heads') if e['event']=='eval'][-1]['parts'].keys()=={'2.loss','3.loss'} and all(0.5<v[0]<5 for v in [e for e in log('heads') if e['event']=='eval'][-1]['parts'].values())"
expect 0 . '' "$rung" eval heads --json --quiet
json "d['loss']>0"

# Text with drafts is the text without, likeliest tokens and drawn ones; beyond the context too.
for how in '--tokens 50 --temperature 0' '--tokens 50 --temperature 0.7 --seed 4' '--tokens 90 --temperature 0'; do
  expect 0 . '' "$rung" generate heads --prompt '# Doc' $how --json --quiet
  cp out plain.json
  expect 0 . '' "$rung" generate heads --prompt '# Doc' $how --speculate --json --quiet
  json "d['text']==load('plain.json')['text'] and d['tokens']==load('plain.json')['tokens'] and d['speculate']['same_tokens']"
  json "d['speculate']['passes']+d['speculate']['accepted']==d['tokens'] and d['speculate']['accepted']<=d['speculate']['drafted'] and d['speculate']['speedup']>0"
done
json "d['speculate']['accepted']>0 and d['speculate']['tokens_per_pass']>1"
expect 0 '^# Doc' 'tokens a pass: .* drafts accepted' "$rung" generate heads --prompt '# Doc' --tokens 30 --temperature 0 --speculate

# A recurrent model drafts beyond its context.
expect 0 . '' "$rung" train "${tiny[@]}" --set model.mtp_heads=2 model.mixer=mamba2 model.depth=2 --out recurrent --json
expect 0 . '' "$rung" generate recurrent --prompt '# Doc' --tokens 120 --temperature 0 --json --quiet
cp out plain.json
expect 0 . '' "$rung" generate recurrent --prompt '# Doc' --tokens 120 --temperature 0 --speculate --json --quiet
json "d['text']==load('plain.json')['text'] and d['speculate']['accepted']>0"

# The coordinate check looks at the way to the next token.
expect 0 'Passed: 0 of' '' "$rung" coord --data text.txt --set model.depth=4 model.mtp_heads=3 model.context=16 train.batch_tokens=256 \
  data.held_out=0.2 train.lr=0.25 --horizons 1 --probe 256 --threads 1 --quiet --widths 16,32

# Bad input: one clear line.
expect 0 . '' "$rung" train "${tiny[@]}" --set train.tokens=2048 --out one --json
expect 2 '' 'Received a model with model.mtp_heads = 1' "$rung" generate one --speculate
expect 2 '' 'one of the 4 blocks' "$rung" audit --set model.mtp_heads=5
expect 1 '' 'model.mtp_heads' "$rung" export heads --out folder

echo "$checks checks, $failures failures"
[ $failures = 0 ]
