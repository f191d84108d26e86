#!/usr/bin/env bash
# rung fit, predict and report of a fit through the real program.
# Usage: run_fit_tests.sh RUNG-LAW DATA (DATA: tests/law/data)
set -uo pipefail
law=$1 data=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$(dirname "$0")/expect.sh"
cd "$work" || exit 1
epoch=$data/chinchilla-epoch/points.csv kyo=$data/chinchilla-kyo/df.csv

# Options of the fitter.
expect 0 . '' "$law" fit "$kyo" --tie alpha=beta --bootstrap 50 --json
json "d['coefficients']['alpha']['value'] == d['coefficients']['beta']['value'] and d['coefficients']['alpha']['tied_to'] == 'beta'"
json "d['checklist']['form']['tied'] == {'alpha': 'beta'}"
expect 0 . '' "$law" fit "$kyo" --fix E=1.7 --bound alpha=0.1..0.3 --bootstrap 0 --json
json "d['coefficients']['E'] == {'value': 1.7, 'se': 0.0, 'lo': 1.7, 'hi': 1.7, 'fixed': True}"
json "abs(d['coefficients']['alpha']['value'] - 0.3) < 1e-9 and any(x['code'] == 'at-bound' for x in d['diagnostics'])"
expect 0 . '' "$law" fit "$kyo" --objective quantile --tau 0.9 --bootstrap 0 --json
json "d['objective']['name'] == 'quantile' and d['checklist']['fitting']['tau'] == 0.9"
expect 0 . '' "$law" fit "$kyo" --objective raw-least-squares --bootstrap 20 --cluster N --json
json "d['checklist']['fitting']['interval'] == 'cluster bootstrap' and d['checklist']['fitting']['clusters'] == 'N'"
awk -F, 'NR == 1 {print $0 ",w,sd"} NR > 1 {print $0 "," NR % 2 "," 0.01 * (1 + NR % 3)}' "$kyo" >weighted.csv
expect 0 . '' "$law" fit weighted.csv --weights w --bootstrap 0 --json
json "d['checklist']['data']['weights'] == 'w'"
expect 0 . '' "$law" fit weighted.csv --sd sd --objective least-squares --bootstrap 20 --json
json "d['checklist']['data']['weights'] == '1/sd^2 from sd'"
expect 2 '' 'nearest is alpha' "$law" fit "$kyo" --fix alpah=0.3
expect 2 '' 'one kind' "$law" fit "$kyo" --tie alpha=A
expect 0 . '' "$law" fit "$kyo" --bound alpha=..0.3 --bootstrap 0 --json
json "abs(d['coefficients']['alpha']['value'] - 0.3) < 1e-9"
expect 2 '' 'LO.. or ..HI' "$law" fit "$kyo" --bound alpha=..
expect 2 '' 'tied to itself' "$law" fit "$kyo" --tie alpha=alpha
expect 2 '' 'chinchilla reads no n. Received n=C. The nearest is N' "$law" fit "$kyo" --columns n=C
expect 2 '' 'no such column. Received runs. The nearest' "$law" fit "$kyo" --cluster runs
expect 2 '' 'tau lies between' "$law" fit "$kyo" --tau 1.5

# Groups: one fit each, one file, predicted by name.
awk -F, 'NR == 1 {print "half," $0} NR > 1 {print (NR % 2 ? "odd" : "even") "," $0}' "$kyo" >halves.csv
expect 0 '2 of 2 groups fitted' '' "$law" fit halves.csv --by half --bootstrap 20 --out halves.json
expect 0 . '' "$law" fit halves.csv --by half --bootstrap 20 --json
json "d['by'] == ['half'] and d['fitted'] == 2 and [f['group']['half'] for f in d['fits']] == ['even', 'odd']"
expect 0 'loss' '' "$law" predict halves.json --group half=odd N=1e10 D=2e11
expect 2 '' 'half=even' "$law" predict halves.json N=1e10 D=2e11
expect 2 '' 'halves.json holds 2 fits, one a group' "$law" report halves.json
expect 2 '' 'halves.json holds 2 fits, one a group' "$law" plan halves.json --flops 1e21
expect 2 '' 'A law has no settings' "$law" fit "$kyo" --setting overhead=0.2
expect 2 '' 'one law' "$law" fit halves.csv --by half --law chinchilla,kaplan

# Profiles, and the page that draws them.
expect 0 '  alpha from 0\.[0-9]+ to 0\.[0-9]+' '' "$law" fit "$epoch" --where 'loss < 3.44' --profile --bootstrap 50 --out fit.json
expect 0 'fit.html' '' "$law" report fit.json
checks=$((checks + 1)); grep -q 'Profile likelihood' fit.html || { failures=$((failures + 1)); echo "FAILED: no profiles on the page"; }
mkdir alone && cp fit.json alone/ && expect 0 'alone/fit.html' '' "$law" report alone
expect 0 '^loss [0-9.]+, 90 % interval' '' "$law" predict fit.json N=7e10 D=1.4e12
expect 0 . '' "$law" predict fit.json N=7e10 D=1.4e12 --json
json "d['lo'] < d['loss'] < d['hi'] and set(d['sources']) == {'coefficients', 'noise'} and d['outside']['N'] > 1"

# Sizes in millions: predict repeats the doubt, a plan would spend a budget in them.
awk -F, 'NR == 1 {for (i = 1; i <= NF; ++i) if ($i == "N") n = i; print} NR > 1 {OFS = ","; $n /= 1e6; print}' "$kyo" >millions.csv
expect 0 . '' "$law" fit millions.csv --columns N=N,D=D,L=loss --bootstrap 20 --out millions.json
expect 0 '^warning: \[units\] N begins at [0-9.]+: parameters are counted in ones' '' "$law" predict millions.json N=7e3 D=1.4e11
expect 3 '' 'units of millions.json \(chinchilla\) are in doubt.*\[units\] N begins at .* or go on with --force' "$law" plan millions.json --flops 1e21
expect 0 '^\[units\] N begins at' '' "$law" plan millions.json --flops 1e21 --force
expect 0 '^warning \[units\] N begins at' '' "$law" fit millions.csv --columns N=N,D=D,L=loss --law isoflop --bootstrap 0 --out optima.json
expect 3 '' 'units of optima.json \(isoflop\) are in doubt' "$law" plan optima.json --flops 1e21
# Sizes as people write them, and a table that is packed.
awk -F, 'NR == 1 {for (i = 1; i <= NF; ++i) if ($i == "N") n = i; print} NR > 1 {OFS = ","; $n = sprintf("%.17gM", $n / 1e6); print}' "$kyo" >letters.csv
expect 0 . '' "$law" fit "$kyo" --bootstrap 0 --out plain.json
expect 0 . '' "$law" fit letters.csv --bootstrap 0 --json
json "abs(d['coefficients']['alpha']['value'] / load('plain.json')['coefficients']['alpha']['value'] - 1) < 1e-9"
gzip -k letters.csv
expect 1 '' 'compressed table is not read. Received letters.csv.gz. Unpack it: gunzip -k letters.csv.gz' "$law" fit letters.csv.gz
mv letters.csv.gz 'two words.csv.gz'
expect 1 '' "Received two words.csv.gz. Unpack it: gunzip -k 'two words.csv.gz'" "$law" fit 'two words.csv.gz'

# A check on runs that were not fitted: how many lie within their intervals, and how far beyond the fit they are.
expect 0 . '' "$law" fit "$kyo" --where 'C < 1e20' --bootstrap 50 --out near.json
expect 0 '^[0-9]+ of 23 measured rows lie within their 90 % intervals' '' "$law" predict near.json --table "$kyo" --where 'C >= 1e21'
check "the table's reach is not said" grep -Eq '^C is up to [0-9.]+ times the largest' out
expect 0 . '' "$law" predict near.json --table "$kyo" --where 'C >= 1e21' --json
json "len(d['rows'])==d['misfit']['rows']==23 and d['misfit']['inside']==sum(r['lo']<=r['measured']<=r['hi'] for r in d['rows'])"
json "abs(d['misfit']['bias']-sum(r['loss']-r['measured'] for r in d['rows'])/23)<1e-12 and d['law']=='chinchilla'"
printf 'N,D,L\n1e9,2e10,\n2e9,4e10,2.5\n' >half.csv
expect 0 '^[01] of 1 measured rows' '' "$law" predict near.json --table half.csv
expect 2 '' 'where keeps rows of a --table' "$law" predict near.json --where 'C > 1' N=1e9 D=2e10

# A tracker's table: dotted names in a filter, others in backticks; a procedure's page with its budgets.
python3 - >tracked.csv <<'PYTHON'
print('model.size,flops,val/loss')
for c in (1e18, 1e19, 1e20, 1e21):
    for k in range(-3, 4):
        n = 0.3 * (c / 6) ** 0.49 * 2 ** k
        print(f'{n:.6g},{c:g},{1.8 + 480 / n ** 0.35 + 2000 / (c / 6 / n) ** 0.37:.6f}')
PYTHON
expect 2 '' 'no column for the loss. .*Name it: --columns L=COLUMN, perhaps val/loss\. None for N either\.$' "$law" fit tracked.csv
printf 'num_parameters,num_train_tokens,eval_loss\n1e8,2e9,3\n' >hub.csv
expect 2 '' 'for the loss.*perhaps eval_loss\. None for N either, perhaps num_parameters\. None for D either, perhaps num_train_tokens\.$' \
  "$law" fit hub.csv
expect 2 '' 'no column for N\. .*perhaps num_parameters\. None for D either, perhaps num_train_tokens\.$' "$law" fit hub.csv --columns L=eval_loss
printf '{\n "log_history": []\n}\n' >state.json
expect 1 '' 'line 1. Give an object a line, or one array of objects' "$law" fit state.json
columns=N=model.size,C=flops,L=val/loss
expect 0 . '' "$law" fit tracked.csv --columns $columns --where 'model.size > 1e6 and `val/loss` < 9' --bootstrap 0
expect 2 '' 'backticks: `val/loss`' "$law" fit tracked.csv --columns $columns --where 'val/loss < 9'
expect 0 . '' "$law" fit tracked.csv --columns $columns --law isoflop --bootstrap 20 --out iso.json
expect 0 'iso.html' '' "$law" report iso.json
expect 0 . '' "$law" fit "$data/critical-batch/cbs_steps_derived.csv" --law critical-batch --bootstrap 20 --out batch.json
expect 0 'batch.html' '' "$law" report batch.json
expect 0 . '' "$law" fit "$data/olmo-ladder/hellaswag_runs.csv" --law downstream --bootstrap 20 --out task.json
expect 0 'task.html' '' "$law" report task.json
expect 0 'IsoFLOP curves' '' cat iso.html

expect 0 'warning: C is 0.000238 times 6 N D' '' "$law" predict fit.json N=7e10 D=1.4e12 C=1.4e20
expect 0 . '' "$law" predict fit.json N=7e10 D=1.4e12 C=7e23 --json
json "not d.get('warnings')"

# Several forms.
expect 0 'weighed by predicting' '' "$law" fit "$kyo" --law power,broken-power --bootstrap 50 --out forms.json
cp forms.json out
json "len(d['forms']) == 2 and abs(sum(f['weight'] for f in d['forms']) - 1) < 1e-9 and d['rollout']['order'] == 'C'"
expect 0 . '' "$law" predict forms.json C=1e23 --json
json "set(d['sources']) == {'coefficients', 'noise', 'form', 'rollout'} and d['lo'] < d['loss'] < d['hi']"
expect 2 '' 'nearest is power' "$law" fit "$kyo" --law power,pwoer
expect 2 '' 'None of the laws has such a coefficient. Received alpah' "$law" fit "$kyo" --law chinchilla,kaplan --fix alpah=0.3

# What the data do not determine, and what is no number.
awk 'BEGIN {print "N,D,L"; for (i = 0; i < 9; ++i) {n = 1e7 * 3^i; print n "," 20 * n "," 1.8 + 480 / n^0.35 + 0.001 * (i % 3)}}' >line.csv
expect 3 'refusal \[collinear\]' '' "$law" fit line.csv --out refused.json
expect 3 '' 'collinear' "$law" predict refused.json N=1e10 D=1e12
printf 'N,D,L\n1e7,1e9,3\n2e7,1e9,nan\n4e7,1e9,2.5\n' >bad.csv
expect 1 '' 'row 2 \(line 3\)' "$law" fit bad.csv
printf 'N,D,L\n"10,000,000",1e9,3\n2e7,1e9,\n4e7,1e9,2.5\n' >bad.csv
expect 1 '' 'L must be finite and positive. Received an empty cell in row 2 \(line 3\)' "$law" fit bad.csv
expect 1 '' 'N must be finite and positive. Received "10,000,000" \(write 10000000: separators are not read\) in row 1 \(line 2\)' "$law" fit bad.csv --where 'L>0'
printf 'N,D,L\n1e7,1e9,3\n-2e7,1e9,2.9\n4e7,1e9,2.5\n' >bad.csv
expect 1 '' 'row 2 \(line 3\)' "$law" fit bad.csv

# A narrow, noisy table on which E runs to 0: answered near the data, refused where E decides, and with --force answered all the same.
python3 - >open.csv <<'PYTHON'
import math
print('N,D,L')
for k in range(25):
    n, d = 1e7 * 10 ** (0.3 * (k // 5)), 2e8 * 10 ** (0.3 * (k % 5))
    print(f'{n:.6g},{d:.6g},{(12 * n ** -0.12 + 14 * d ** -0.13 - 0.3) * math.exp(0.006 * math.sin(2.4 * k + 2.4)):.6f}')
PYTHON
expect 0 'E ran to 0' '' "$law" fit open.csv --bootstrap 100 --out open.json --json
json "load('open.json')['open_ends'][0]['coefficient']=='E' and load('open.json')['open_ends'][0]['values'][0]>0.1"
expect 0 '^loss' '' "$law" predict open.json N=2e8 D=4e9
expect 3 '' 'bound-decides. E ended at its bound 0.*--force' "$law" predict open.json N=2e11 D=4e12
expect 3 . 'bound-decides' "$law" predict open.json N=2e11 D=4e12 --json
json "d['status']=='refused' and 'bound-decides' in d['error']"
expect 0 'warning: .bound-decides' '' "$law" predict open.json N=2e11 D=4e12 --force
expect 0 . '' "$law" predict open.json N=2e11 D=4e12 --force --json
json "d['at_bound'][0]['decides'] and d['at_bound'][0]['share']>0.5 and d['at_bound'][0]['prediction']>1.05*d['loss']"
printf 'N,D\n2e8,4e9\n2e11,4e12\n' >ask.csv
expect 3 '' 'row 2.*bound-decides' "$law" predict open.json --table ask.csv
expect 0 'row 2' '' "$law" predict open.json --table ask.csv --force
expect 0 . '' "$law" fit open.csv --fix E=1.2 --bootstrap 100 --out given.json
expect 2 '' 'needs N. Received C=1e\+21.*`rung plan` finds' "$law" predict given.json C=1e21
expect 0 '^loss' '' "$law" predict given.json N=200M D=4B
expect 0 '^loss' '' "$law" predict given.json N=2e11 D=4e12

# A terminal shows how far a fit is.
terminal() { TERM=${term:-xterm} python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$@" </dev/null; }
expect 0 'chinchilla: search' '' terminal "$law" fit "$kyo" --bootstrap 50
term=dumb expect 0 . '' terminal "$law" fit "$kyo" --bootstrap 50
check "escape sequences on a dumb terminal" [ "$(grep -c $'\033' out)" = 0 ]
expect 0 . '' terminal "$law" fit "$kyo" --bootstrap 50 --quiet --out quiet.json
check "progress in spite of --quiet: $(cat out)" [ "$(grep -c search out)" = 0 ]

# A narrow one breaks no number: tables are broken between their cells.
expect 0 '^ *alpha' '' on_terminal 40 "$law" fit "$kyo" --bootstrap 50 --quiet --out quiet.json
check "a line of more than 40 columns: $(cat out)" [ "$(widest out)" -le 40 ]
expect 0 . '' "$law" fit "$kyo" --bootstrap 50 --quiet --out quiet.json
check "lines that no terminal shows are broken" [ "$(widest out)" -gt 40 ]

# Where the fit could not be kept nothing is fitted first.
expect 1 '' '^rung: .files. Cannot write nowhere/fit.json: No such file or directory' "$law" fit "$kyo" --bootstrap 1000 --out nowhere/fit.json

# What means nothing is said, not passed over.
expect 2 '' 'order orders the rungs where several laws are weighed' "$law" fit open.csv --order N
expect 2 '' 'seed takes a whole number from 0. Received -1' "$law" fit open.csv --seed -1
expect 2 '' 'out is empty' "$law" fit open.csv --out ''
expect 2 '' 'TABLE is empty' "$law" fit ''
printf 'N,D\n' >none.csv
expect 1 '' 'none.csv holds no row' "$law" predict open.json --table none.csv
mkdir bare
expect 1 '' 'bare holds nothing to draw' "$law" report bare
mkdir climbed && echo '{"law":""}' | tee climbed/plan.json >climbed/other.json && touch climbed/log.jsonl climbed/runs.csv
for file in plan.json runs.csv log.jsonl; do
  expect 2 '' "climbed/$file is a climb's, whose page shows it. Draw that: rung report climbed\.$" "$law" report climbed/$file
done
expect 1 '' "other.json is no fit: key 'coefficients' not found" "$law" report climbed/other.json
expect 1 '' "other.json is no fit: key 'coefficients' not found" "$law" predict climbed/other.json N=1 D=1
expect 2 '' 'tracked.csv is a table, which has no page. .*rung fit tracked.csv --law' "$law" report tracked.csv
expect 1 '' 'nowhere does not exist' "$law" report nowhere
check "a page of nothing was drawn" [ ! -e bare/report.html ]

echo "$checks checks, $failures failures"
[ $failures = 0 ]
