#!/bin/bash
# `rung plan` on the real program: budget, limits, refusals, usage. Usage: plan_tests.sh RUNG_LAW
law=$1
work=$(mktemp -d)
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
trap 'rm -rf "$work"' EXIT
data=$(dirname "${BASH_SOURCE[0]}")/../law/data/chinchilla-epoch/points.csv

expect 0 . '' "$law" fit "$data" --where 'loss < 3.44' --bootstrap 100 --out "$work/fit.json"

# The optimum of the coefficients, in closed form; the interval and the flat region hold it.
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --json
closed="(lambda c,C: (c['alpha']['value']*c['A']['value']/(c['beta']['value']*c['B']['value']))**(1/(c['alpha']['value']+c['beta']['value']))*(C/6)**(c['beta']['value']/(c['alpha']['value']+c['beta']['value'])))(json.load(open('$work/fit.json'))['coefficients'],1e21)"
json "abs(d['N']/$closed-1)<1e-6 and abs(6*d['N']*d['D']/1e21-1)<1e-9 and d['C']==6*d['N']*d['D']"
json "d['intervals']['N']['lo']<d['N']<d['intervals']['N']['hi'] and d['lo']<d['loss']<d['hi']"
json "d['flat']['N']['lo']<d['N']<d['flat']['N']['hi'] and d['flat']['within']==0.005 and d['level']==0.9"
expect 0 'within 0.5 %' '' "$law" plan "$work/fit.json" --flops 1e21
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --inference-tokens 1e12 --level 0.5 --json
json "d['N']<$closed and abs((d['C']+d['inference_flops'])/1e21-1)<1e-9 and d['level']==0.5"
expect 0 'limited by max-params' '' "$law" plan "$work/fit.json" --flops 1e21FLOP --max-params 1e9
expect 2 '' '--flops takes a number of FLOPs, as 1e21 or 1e21flop. Received 1d' "$law" plan "$work/fit.json" --flops 1d
expect 0 'limited by memory' '' "$law" plan "$work/fit.json" --flops 1e21 --memory 8e9
expect 0 'limited by max-tokens' '' "$law" plan "$work/fit.json" --flops 1e21 --max-tokens 1e10
expect 0 '^limited by max-tokens$' '' "$law" plan "$work/fit.json" --flops 1e21 --max-tokens 1e10 --max-params 1e9
expect 0 'limited by unique-tokens' '' "$law" plan "$work/fit.json" --flops 1e21 --unique-tokens 1e10
expect 0 'limited by inference-memory' '' "$law" plan "$work/fit.json" --flops 1e23 --inference-memory 4e9 --inference-bits 8
expect 0 'limited by max-params' '' "$law" plan "$work/fit.json" --flops 1e21 --max-params 1B
expect 0 '^memory: training 85.9 GB, ' '' "$law" plan "$work/fit.json" --flops 1e23 --memory 80GiB
# Which budget binds.
expect 0 '^limited by time$' '' "$law" plan "$work/fit.json" --flops 1e21 --time 1d --hardware h100
expect 0 '^limited by flops$' '' "$law" plan "$work/fit.json" --flops 1e18 --time 1d --hardware h100
expect 0 '^memory: training 8.00 GB, weights when serving 1.00 GB$' '' "$law" plan "$work/fit.json" --flops 1e21 --memory 8GB
expect 0 '^memory: training [0-9.]+ TB, ' '' "$law" plan "$work/fit.json" --flops 1e25
expect 2 '' 'No device is called so. Received rtx4090. Known are a100, h100, ' "$law" plan "$work/fit.json" --time 30d --hardware rtx4090:8
expect 0 'within 2 %' '' "$law" plan "$work/fit.json" --flops 1e21 --flat 0.02

# Wall time: FLOPs are devices x peak x mfu x seconds; the devices' memory limits the size.
expect 0 . '' "$law" plan "$work/fit.json" --time 30d --hardware h100:64 --mfu 0.4 --json
json "abs(d['C']/(64*989.4e12*0.4*30*86400)-1)<1e-9 and abs(d['seconds']/2592000-1)<1e-9"
expect 0 . '' "$law" plan "$work/fit.json" --time 30d --hardware h100:64 --format fp8 --json
json "abs(d['C']/(64*1978.9e12*0.4*30*86400)-1)<1e-9"
expect 0 'limited by memory' '' "$law" plan "$work/fit.json" --time 3000d --hardware h100:1
expect 0 . '' "$law" plan "$work/fit.json" --time 12h --hardware mine:8 --peak-flops 1e14 --mfu 0.5 --json
json "abs(d['C']/(8*1e14*0.5*43200)-1)<1e-9"
# A token reads every weight once: 2 N bytes at 3.35e12 bytes/s.
expect 0 'limited by latency' '' "$law" plan "$work/fit.json" --flops 1e24 --latency 0.002s --serve-on h100
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e24 --latency 2ms --bandwidth 3.35e12 --json
json "abs(d['N']/3.35e9-1)<1e-9 and d['limits']==['latency','flops']"

# Shapes: real, counted exactly, none better than the best.
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --vocabulary 50304 --context 2048 --json
json "len(d['shapes'])>3 and all(s['width']%64==0 and s['heads']*s['head_size']==s['width'] and s['excess']>-1e-9 for s in d['shapes'])"
json "all(s['N']==s['depth']*13*s['width']**2+50304*s['width'] for s in d['shapes']) and d['unknown']==['batch','learning rate','precision','experts']"
expect 0 'Attention.s FLOPs are not counted' '' "$law" plan "$work/fit.json" --flops 1e21 --vocabulary 50304
expect 0 'vocabulary is unknown' '' "$law" plan "$work/fit.json" --flops 1e21 --context 2048
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --vocabulary 32000 --head-size 64 --kv-heads 4 --ffn-ratio 4 --json
json "all(s['head_size']==64 and s['heads']%4==0 for s in d['shapes'])"
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --vocabulary 32000 --tied --plain-ffn --json
json "all(s['N']==s['depth']*10*s['width']**2+32000*s['width']==s['N_total'] and s['aspect_excess']==0 for s in d['shapes'])"
# A given model: its tokens, which attention takes FLOPs from, and what it loses.
expect 0 'Attention takes 37 % of its FLOPs' '' "$law" plan "$work/fit.json" --flops 1e21 --width 2048 --depth 24 --vocabulary 32000 --context 16384
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --width 2048 --depth 24 --vocabulary 32000 --context 16384 --json
json "abs(d['D']/d['shapes'][0]['D']-1)<1e-9 and abs(d['C']/1e21-1)<1e-9 and d['D']<0.7*1e21/6/d['N'] and abs(d['given']['excess']-d['shapes'][0]['excess'])<1e-9"
expect 0 'the given size loses' '' "$law" plan "$work/fit.json" --flops 1e21 --params 7e8
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e21 --width 1024 --depth 24 --vocabulary 32000 --json
json "d['N']==24*13*1024**2+32000*1024 and d['given']['excess']>0 and 0<d['given']['flops_share']<1 and len(d['shapes'])==1"

# Further fits: each quantity names its own.
awk 'BEGIN{srand(4); print "N,D,lr,bs,L"; for(i=0;i<3;++i) for(j=0;j<3;++j) for(a=-3;a<=3;++a) for(b=-3;b<=3;++b){n=1e8*4^i; d=4e9*4^j; l=1.8*n^-.71*d^.31; s=.58*d^.57; print n "," d "," l*2^(a/2) "," s*2^(b/2) "," 2+100/n^.3+.004*(a*a+b*b)+.0001*rand()}}' >"$work/sweep.csv"
expect 0 . '' "$law" fit "$work/sweep.csv" --law step-law --bootstrap 50 --out "$work/step.json"
expect 0 . '' "$law" plan "$work/fit.json" "$work/step.json" --flops 1e21 --json
json "d['lr'][0]['source'].endswith('step.json (step-law)') and d['lr'][0]['lo']<d['lr'][0]['value']<d['lr'][0]['hi']"
json "abs(d['lr'][0]['value']/(1.8*d['N']**-.71*d['D']**.31)-1)<0.05 and abs(d['batch'][0]['value']/(.58*d['D']**.57)-1)<0.05 and 'batch' not in d['unknown']"
awk 'BEGIN{srand(5); print "N,D,P_w,P_a,P_kv,L"; for(i=0;i<3;++i) for(j=0;j<3;++j) for(p=3;p<=15;p+=2){n=3e7*3^i; d=1.5e9*4^j; k=1-exp(-p/2.67); print n "," d "," p ",16,16," (2.76+4299/(n*k)^.4965+18060/d^.4965)*(1+.001*rand())}}' >"$work/bits.csv"
expect 0 . '' "$law" fit "$work/bits.csv" --law precision --fix gamma_a=2.2 gamma_kv=0.96 --bootstrap 20 --out "$work/bits.json"
expect 0 . '' "$law" plan "$work/bits.json" --flops 1e21 --bit-flops --json
json "3<=d['choice']['bits']<=5 and len(d['alternatives'])==15 and 'precision' not in d['unknown']"
expect 0 'Fewer bits save nothing' '' "$law" plan "$work/bits.json" --flops 1e21
expect 0 'no fit given knows what experts|No fit given knows what experts' '' "$law" plan "$work/fit.json" --flops 1e21 --experts 8

# What to train next: within the FLOPs allowed, the interval shrinks; own candidates; both criteria.
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e22 --next 3 --next-flops 1e21flop --max-run-flops 5e20FLOPs --json
json "len(d['design']['runs'])==3 and d['design']['flops']<=1e21*(1+1e-9) and all(r['flops']<=5e20*(1+1e-9) for r in d['design']['runs'])"
json "d['design']['before']['lo']<d['design']['after']['lo']<d['design']['after']['hi']<d['design']['before']['hi']"
expect 0 'D-optimal' '' "$law" plan "$work/fit.json" --flops 1e22 --next 2 --criterion d
printf 'params,tokens\n1e8,2e9\n1e9,2e10\n3e9,6e10\n' >"$work/candidates.csv"
expect 0 'next runs, of 3 candidates' '' "$law" plan "$work/fit.json" --flops 1e23 --next 1 --next-flops 1e22 --candidates "$work/candidates.csv" --target N=7e9 D=1.4e11
expect 0 . '' "$law" plan "$work/fit.json" --flops 1e22 --next 2 --vocabulary 32000 --out "$work/plan.json"
expect 0 'plan.html' '' "$law" report "$work/plan.json"
expect 0 'Runs to train next' '' cat "$work/plan.html"

# Refused: exit status 3 with the reason.
awk 'BEGIN{print "N,D,L"; for(i=0;i<12;++i){n=1e7*2^i; print n "," 20*n "," 1.8+400/n^.35+2000/(20*n)^.37}}' >"$work/line.csv"
expect 3 . '' "$law" fit "$work/line.csv" --out "$work/refused.json"
expect 3 . 'refused' "$law" plan "$work/refused.json" --flops 1e21 --json
json "d['status']=='refused' and 'collinear' in d['error']"

# Usage.
printf 'params\n1e8\n' >"$work/candidates_bad.csv"
expect 2 '' '--flops' "$law" plan "$work/fit.json"
expect 0 'limited by latency' '' "$law" plan "$work/fit.json" --flops 1e24 --latency 2ms --serve-on h100
expect 2 '' 'Received h10. Did you mean h100\?' "$law" plan "$work/fit.json" --time 1d --hardware h10:8
expect 2 '' 'as h100:64' "$law" plan "$work/fit.json" --time 1d --hardware h100:none
expect 2 '' 'no fp8 peak' "$law" plan "$work/fit.json" --time 1d --hardware a100:8 --format fp8
expect 2 '' '--hardware or --peak-flops' "$law" plan "$work/fit.json" --time 1d
expect 2 '' 'as 30d' "$law" plan "$work/fit.json" --time soon --hardware h100
# Times have a unit, memory is at least a million bytes.
expect 2 '' 'as 30d. Received 30\.' "$law" plan "$work/fit.json" --time 30 --hardware h100:64
expect 2 '' '--memory takes bytes, at least a million, as 80GB or 80GiB. Received 80\.' "$law" plan "$work/fit.json" --flops 1e21 --memory 80
expect 2 '' '--inference-memory takes bytes' "$law" plan "$work/fit.json" --flops 1e21 --inference-memory 80B
expect 2 '' 'limit memory leaves less than one parameter' "$law" plan "$work/fit.json" --flops 1e21 --memory 1MB --bytes-per-parameter 1e7
expect 2 '' 'budget leaves less than one parameter. Received 1 FLOPs' "$law" plan "$work/fit.json" --flops 1
expect 2 '' 'Under this budget the best model has less than one parameter. Received 100 FLOPs, [0-9.e+]+ times less than the smallest run' "$law" plan "$work/fit.json" --flops 100
expect 2 '' '--mfu lies between' "$law" plan "$work/fit.json" --time 1d --hardware h100 --mfu 40
expect 2 '' '--serve-on or --bandwidth' "$law" plan "$work/fit.json" --flops 1e21 --latency 20ms
expect 2 '' 'bf16' "$law" plan "$work/fit.json" --flops 1e21 --format int3
expect 2 '' 'has a width and a depth' "$law" plan "$work/fit.json" --flops 1e21 --width 1024
expect 2 '' 'no multiple of the head size' "$law" plan "$work/fit.json" --flops 1e21 --width 1000 --depth 4
expect 2 '' 'a size or a shape' "$law" plan "$work/fit.json" --flops 1e21 --width 1024 --depth 4 --params 1e9
expect 2 '' 'params is at least 1' "$law" plan "$work/fit.json" --flops 1e21 --params 0
expect 2 '' 'less than one token' "$law" plan "$work/fit.json" --flops 1e9 --params 1e9
expect 2 '' 'flat lies between' "$law" plan "$work/fit.json" --flops 1e21 --flat 1
expect 2 '' 'next is at least 1' "$law" plan "$work/fit.json" --flops 1e21 --next 0
expect 2 '' 'has no column D' "$law" plan "$work/fit.json" --flops 1e21 --next 1 --candidates "$work/candidates_bad.csv"
expect 2 '' 'No candidate is as cheap' "$law" plan "$work/fit.json" --flops 1e21 --next 1 --max-run-flops 1e10
expect 2 '' 'target is about the runs of --next' "$law" plan "$work/fit.json" --flops 1e21 --target N=7e9
expect 2 '' 'X is no input of chinchilla. Received X=3' "$law" plan "$work/fit.json" --flops 1e21 --next 1 --target X=3
expect 2 '' 'No fit given reads E' "$law" plan "$work/fit.json" --flops 1e21 --with E=8
expect 2 '' '--with takes NAME=NUMBER' "$law" plan "$work/fit.json" --flops 1e21 --with E
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

# A narrow, noisy table on which E runs to 0: planned near the data, refused where E decides the loss.
python3 - >"$work/open.csv" <<'PYTHON'
import math
print('N,D,L')
for k in range(25):
    n, d = 1e7 * 10 ** (0.3 * (k // 5)), 2e8 * 10 ** (0.3 * (k % 5))
    print(f'{n:.6g},{d:.6g},{(12 * n ** -0.12 + 14 * d ** -0.13 - 0.3) * math.exp(0.006 * math.sin(2.4 * k + 2.4)):.6f}')
PYTHON
expect 0 . '' "$law" fit "$work/open.csv" --bootstrap 100 --out "$work/open.json"
expect 0 '^loss' '' "$law" plan "$work/open.json" --flops 1e19
expect 3 '' 'plan. .bound-decides. E ended at its bound 0' "$law" plan "$work/open.json" --flops 1e24
expect 0 'bound-decides' '' "$law" plan "$work/open.json" --flops 1e24 --force

echo "$checks checks, $failures failures"
[ "$failures" = 0 ]
