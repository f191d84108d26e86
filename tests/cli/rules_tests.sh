#!/bin/bash
# Rules of batch and horizon from measured runs: the table that `rung sweep` writes goes into `rung fit` as it is, for
# step-law and lr-horizon, and what comes out is what the rows say, recomputed here.
# Usage: rules_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"

write_text text.txt
# Two sizes, three horizons over a factor of 16, two batches, six rates: 72 runs.
expect 0 . '' "$rung" sweep --data text.txt --out study --json --quiet --threads 2 --over train.lr=2^-4..2^1:6 --over 'train.batch_tokens=[32,128]' \
  --over 'train.tokens=[2048,8192,32768]' --over 'model.width=[8,16]' --set model.depth=1 model.context=16 model.head_dim=8 \
  train.eval_tokens=2048 data.held_out=0.2 data.repeat=true train.warmup=0.1
json "d['runs'] and len(rows('study/runs.csv'))==72 and all(r['status']=='ok' for r in rows('study/runs.csv'))"

cat >check.py <<'PYTHON'
import csv, itertools, json, math, sys
def ols(design, y):  # coefficients by the normal equations
    n = len(design[0])
    a = [[sum(r[i] * r[j] for r in design) for j in range(n)] + [sum(r[i] * v for r, v in zip(design, y))] for i in range(n)]
    for i in range(n):
        p = max(range(i, n), key=lambda k: abs(a[k][i]))
        a[i], a[p] = a[p], a[i]
        for k in range(n):
            if k != i:
                a[k] = [x - a[k][i] / a[i][i] * z for x, z in zip(a[k], a[i])]
    return [a[i][n] / a[i][i] for i in range(n)]
runs = [{k: float(r[k]) for k in ('N', 'D', 'lr', 'batch_tokens', 'L')} for r in csv.DictReader(open('study/runs.csv'))]
def cells(rows, within):
    for n, d in itertools.product(sorted({r['N'] for r in rows}), sorted({r['D'] for r in rows})):
        cell = [r for r in rows if r['N'] == n and r['D'] == d]
        yield n, d, [r for r in cell if r['L'] <= (1 + within) * min(c['L'] for c in cell)]
log, fit = math.log, json.load(open('out'))['coefficients']
got = {k: v['value'] for k, v in fit.items()}
if sys.argv[1] == 'step-law':
    best = [r for _, _, cell in cells(runs, 0.0025) for r in cell]
    rate = ols([[1, log(r['N']), log(r['D'])] for r in best], [log(r['lr']) for r in best])
    batch = ols([[1, log(r['D'])] for r in best], [log(r['batch_tokens']) for r in best])
    want = {'c': math.exp(rate[0]), 'a': rate[1], 'b': rate[2], 'd': math.exp(batch[0]), 'e': batch[1]}
else:
    points = []
    for n, d, cell in cells([r for r in runs if r['batch_tokens'] == 32], 0.25):
        _, b, c = ols([[1, log(r['lr']), log(r['lr']) ** 2] for r in cell], [r['L'] for r in cell])
        points.append((n, d, -b / (2 * c)))
    rate = ols([[1, log(n), log(d)] for n, d, _ in points], [at for _, _, at in points])
    want = {'C': math.exp(rate[0]), 'alpha': -rate[1], 'beta': -rate[2]}
assert want.keys() == got.keys(), got
for key, value in want.items():
    assert abs(got[key] - value) <= 1e-4 * abs(value) + 1e-6, (key, got[key], value)
PYTHON
same() { # law
  checks=$((checks + 1))
  python3 check.py "$1" || { failures=$((failures + 1)); echo "FAILED: $1 is not what the runs say"; }
}
expect 0 . '' "$rung" fit study/runs.csv --law step-law --bootstrap 20 --out step.json --json --quiet
same step-law
# Of one batch at a time: a horizon's rates are compared at equal batch.
expect 0 . '' "$rung" fit study/runs.csv --law lr-horizon --where 'batch_tokens==32' --setting within=0.25 --bootstrap 20 --out horizon.json --json --quiet
same lr-horizon
expect 0 'lr_opt' '' "$rung" predict horizon.json N=2880 D=16384 --json
# Coarse steps of the rate leave too few runs near a horizon's best: refused, and it says why.
expect 3 'too-few-horizons' '' "$rung" fit study/runs.csv --law lr-horizon --where 'batch_tokens==32' --bootstrap 0 --json --quiet
json "any('fewer than 4 learning rates' in x['text'] for x in d['diagnostics'])"

# The studies of docs/transfer.md, small: completedp's batch factors count from the base run, and a line ends as a row of the table ...
bench=$root/bench
small="model.depth=1 model.context=16 train.batch_tokens=64 train.eval_tokens=1024 data.held_out=0.2 data.repeat=true"
expect 0 '^\| batch \| `completedp` \| 32: -[0-9.]+\*?, 64: -[0-9.]+\*? \| [+-][0-9.]+ \([+-][0-9.]+ \.\. [+-][0-9.]+\) \| \+[0-9.]+ % \| [0-9.]+ % \| 2 \|$' '' \
  env DATA=text.txt SEEDS=2 TOKENS=2048 RULES=completedp BATCHES='[32,64]' BASE="$small model.head_dim=32" "$bench/transfer_study.sh" "$rung" lines batch
check_base() { grep -hE '^base_(batch_tokens|tokens) ' lines/batch-completedp/runs/*/config.toml | sed 's/ *#.*//' | sort -u; }
checks=$((checks + 1))
[ "$(check_base)" = $'base_batch_tokens = 64\nbase_tokens = 2048' ] || { failures=$((failures + 1)); echo "FAILED: base run: $(check_base)"; }
# ... and an independent search beside a random one: 20 runs and as many as asked for, both winners on the same fresh seeds.
expect 0 '^independent over random: [+-][0-9.]+ % \([+-][0-9.]+ \.\. [+-][0-9.]+ %\), 3 pairs$' '' \
  env DATA=text.txt SEEDS=3 POINTS=2 BASE="$small model.width=16 model.head_dim=8 train.tokens=2048" "$bench/search_study.sh" "$rung" search
checks=$((checks + 1))
grep -q '^independent: 20 runs' out && grep -q '^random: 2 runs' out || { failures=$((failures + 1)); echo "FAILED: runs of the searches"; cat out; }

[ $failures = 0 ] || { echo "$failures of $checks checks failed"; exit 1; }
echo "$checks checks passed"
