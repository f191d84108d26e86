#!/bin/bash
# `rung plan` on the real program: budget, limits, refusals, usage. Usage: plan_tests.sh RUNG_LAW
law=$1
work=$(mktemp -d)
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
trap 'rm -rf "$work"' EXIT
data=$(dirname "${BASH_SOURCE[0]}")/../law/data/chinchilla-epoch/points.csv
json() {
  checks=$((checks + 1))
  if ! python3 -c "import json,sys; d=json.load(open(sys.argv[1])); sys.exit(0 if ($1) else 1)" "$work/out"; then
    failures=$((failures + 1))
    echo "FAILED: $1"
    sed 's/^/  stdout: /' "$work/out"
  fi
}

expect 0 . '' "$law" fit "$data" --where 'loss < 3.44' --bootstrap 100 --out "$work/fit.json"

# The optimum of the coefficients, in closed form; the interval and the flat region hold it.
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --json
closed="(lambda c,C: (c['alpha']['value']*c['A']['value']/(c['beta']['value']*c['B']['value']))**(1/(c['alpha']['value']+c['beta']['value']))*(C/6)**(c['beta']['value']/(c['alpha']['value']+c['beta']['value'])))(json.load(open('$work/fit.json'))['coefficients'],1e21)"
json "abs(d['N']/$closed-1)<1e-6 and abs(6*d['N']*d['D']/1e21-1)<1e-9 and d['C']==6*d['N']*d['D']"
json "d['intervals']['N']['lo']<d['N']<d['intervals']['N']['hi'] and d['lo']<d['loss']<d['hi']"
json "d['flat']['N']['lo']<d['N']<d['flat']['N']['hi'] and d['flat']['within']==0.001 and d['level']==0.9"
expect 0 'within 0.1 %' '' "$law" plan "$work/fit.json" --flops 1e21
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --inference-tokens 1e12 --level 0.5 --json
json "d['N']<$closed and abs((d['C']+d['inference_flops'])/1e21-1)<1e-9 and d['level']==0.5"
expect 0 'limited by max-params' '' "$law" plan "$work/fit.json" --flops 1e21 --max-params 1e9
expect 0 'limited by memory' '' "$law" plan "$work/fit.json" --flops 1e21 --memory 8e9
expect 0 'limited by max-tokens' '' "$law" plan "$work/fit.json" --flops 1e21 --max-tokens 1e10
expect 0 '^limited by max-tokens$' '' "$law" plan "$work/fit.json" --flops 1e21 --max-tokens 1e10 --max-params 1e9

# Refused: exit status 3 with the reason.
awk 'BEGIN{print "N,D,L"; for(i=0;i<12;++i){n=1e7*2^i; print n "," 20*n "," 1.8+400/n^.35+2000/(20*n)^.37}}' >"$work/line.csv"
expect 3 . '' "$law" fit "$work/line.csv" --out "$work/refused.json"
expect 3 . 'refused' "$law" plan "$work/refused.json" --flops 1e21 --json
json "d['status']=='refused' and 'collinear' in d['error']"

# Usage.
expect 2 '' '--flops' "$law" plan "$work/fit.json"
expect 2 '' 'flops must be positive' "$law" plan "$work/fit.json" --flops -1
expect 0 . '' "$law" fit "$data" --law power --bootstrap 20 --out "$work/power.json"
expect 2 '' 'does not read N and D' "$law" plan "$work/power.json" --flops 1e21
expect 1 '' 'none.json' "$law" plan "$work/none.json" --flops 1e21

# A law from a file goes the same way as the one of the table.
cat >"$work/mine.toml" <<'TOML'
name = "mine"
formula = "L = E + A/N^alpha + B/D^beta"
[inputs]
N = "parameters"
D = "tokens"
[coefficients]
E = { lo = 0 }
A = { scale = "log" }
B = { scale = "log" }
alpha = { lo = 0.005, hi = 3, grid = [0.05, 0.95, 32] }
beta = { lo = 0.005, hi = 3, grid = [0.05, 0.95, 32] }
TOML
expect 0 '^mine: ' '' "$law" fit "$data" --where 'loss < 3.44' --law "$work/mine.toml" --bootstrap 20 --out "$work/mine.json"
expect 0 . '' "$law" plan "$work/mine.json" --flops 1e21 --json
json "abs(d['N']/$closed-1)<1e-3"
expect 0 . '' "$law" predict "$work/mine.json" N=7e9 D=1.4e12 --json
sed -i 's/D^beta/D^/' "$work/mine.toml"
expect 2 '' 'ends too early at character 25' "$law" fit "$data" --law "$work/mine.toml"
sed -i 's/A\/N^alpha + B\/D^/A\/(N + D)^alpha + B*N^-beta/' "$work/mine.toml"
expect 2 '' 'parameters and tokens cannot be added at character 14' "$law" fit "$data" --law "$work/mine.toml"
expect 1 '' 'absent.toml' "$law" fit "$data" --law absent.toml

# Learning curves: runs as files, their schedules beside them, rows predicted with their misfit.
printf 'run,step,lr,shape\na,0,0,linear\na,100,1e-3,cosine\na,2000,1e-4,\nb,0,0,linear\nb,100,1e-3,hold\nb,1000,2e-4,hold\nb,2000,2e-4,\n' >"$work/knots.csv"
for run in a b; do
  awk -v run=$run 'BEGIN{srand(run=="a"); print "step,loss"; for(i=1;i<=30;++i){t=100+60*i; print t "," 2.5+.6*(t/1000)^-.45-(run=="b"&&t>1000?.1*(1-(1+(t-1000)/50)^-.6):.05*t/2000)+.001*rand()}}' >"$work/$run.csv"
done
expect 0 . '' "$law" fit "$work/a.csv" "$work/b.csv" --law multi-power --schedules "$work/knots.csv" --fix gamma=0.65 beta=0.6 C=2 --bootstrap 0 --out "$work/curve.json" --json
json "d['law']=='multi-power' and d['points']==60 and d['residual_rms']<0.01"
expect 0 . '' "$law" predict "$work/curve.json" --table "$work/a.csv" --table "$work/b.csv" --schedules "$work/knots.csv" --json
json "len(d['rows'])==60 and d['misfit']['r2']>0.9 and all(r['lo']<=r['loss']<=r['hi'] for r in d['rows'])"
expect 2 '' 'Give NAME=VALUE' "$law" predict "$work/fit.json"
expect 2 '' 'no column lr' "$law" fit "$work/a.csv" --law multi-power

echo "$checks checks, $failures failures"
[ "$failures" = 0 ]
