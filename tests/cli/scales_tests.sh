#!/bin/bash
# The annotated model, on the real program: tables, files, a page, and bad input.
# Usage: scales_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"

python3 - <<'PYTHON'
import random
random.seed(3)
with open('text.txt', 'w') as f:
    for document in range(40):
        f.write('# Document %d\n\n' % document + ' '.join(random.choice(['ab', 'cde', 'fgh', 'i']) for _ in range(300)) + '\n')
PYTHON
tiny=(--data text.txt --set model.width=32 model.depth=2 model.context=32 train.batch_tokens=512 train.tokens=10240
  data.held_out=0.2 --threads 1 --quiet)

expect 0 'all tensors +step +RMS from' '' "$rung" scales "${tiny[@]}" --steps 0,4
expect 0 . '' "$rung" scales "${tiny[@]}" --steps 4,0 --out unit --json
json "d['kind']=='scales' and d['status']=='done' and d['steps']==[0,4] and len(d['losses'])==2 and d['out']=='unit'"
json "{t['kind'] for t in d['tensors']}=={'activation','gradient','weight','weight gradient'} and {t['layer'] for t in d['tensors']}=={-1,0,1}"
json "load('unit/scales.json')['tensors']==d['tensors'] and len(rows('unit/scales.csv'))==len(d['tensors']) and os.path.getsize('unit/scales.html')>20000"
json "[(f['name'],f['largest']) for f in d['formats']]==[('FP16',65504),('BF16',3.3895313892515355e38),('E4M3',448),('E5M2',57344)]"
json "all(abs(t['rms']-1)<0.1 for t in d['tensors'] if t['kind']=='weight' and t['step']==0)"
json "all(t['formats'][f]['scaled_underflow']<=t['formats'][f]['underflow']+t['formats'][f]['overflow'] for t in d['tensors'] for f in t['formats'])"
rm unit/scales.html
expect 0 'scales.html' '' "$rung" report unit
expect 0 'html' '' ls unit/scales.html
expect 0 . '' "$rung" scales "${tiny[@]}" --steps 0 --parametrisation standard --json
json "max(t['rms'] for t in d['tensors'] if t['kind']=='gradient')<0.1 and [r for r in d['ranges'] if r['kind']=='gradient'][0]['lost']['E4M3']>0.9"

expect 0 'FLOPs' '' "$rung" scales "${tiny[@]}" --steps 0,4 --dry-run
expect 2 '' 'The run has 20 steps .*Received step 21. Give --steps up to 20, or set train.tokens=' "$rung" scales "${tiny[@]}" --steps 21
expect 2 '' 'Received step 100, the last of --steps as it is by default. Give --steps up to 20' "$rung" scales "${tiny[@]}"
expect 2 '' 'whole numbers from 0' "$rung" scales "${tiny[@]}" --steps 1,x
expect 2 '' 'One configuration at a time' "$rung" scales "${tiny[@]}" --set 'train.lr=[0.1,0.2]'
expect 2 '' 'from 1 token' "$rung" scales "${tiny[@]}" --probe 0

echo "$checks checks, $failures failures"
[ $failures = 0 ]
