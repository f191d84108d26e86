#!/usr/bin/env bash
# What an independent search gives away beside a random one of ten times the runs (u-muP's figure 1, arXiv 2407.17465): both
# search the learning rate and four of u-muP's multipliers, the winners are trained anew on the same fresh seeds, and the
# difference of their losses is printed with the 90 % interval of the paired means.
# Usage: bench/search_study.sh RUNG OUT
# Environment: DEVICE (cpu, cuda), DATA (text), SEEDS (32), POINTS (200), BASE (--set words).
set -euo pipefail
rung=$1 out=$2
device=${DEVICE:-cpu} data=${DATA:-default} seeds=${SEEDS:-32} points=${POINTS:-200}
read -ra base <<<"${BASE:-model.width=64 model.context=64 model.head_dim=32 train.batch_tokens=4096 train.tokens=4e6}"
base+=(parametrisation=umup)
[ "$device" = cuda ] && base+=(precision=bf16)
mkdir -p "$out"

search() { # name, points of the lines (rates, each multiplier), options...
  local name=$1 rates=$2 others=$3
  shift 3
  [ -s "$out/$name.json" ] && return
  local over=(--over "train.lr=2^-3..2^3:$rates")
  for key in alpha_attn alpha_ffn alpha_ratio alpha_res; do over+=(--over "multipliers.$key=2^-2..2^2:$others"); done
  "$rung" sweep --device "$device" --data "$data" --json --quiet --out "$out/$name" "${over[@]}" "$@" --set "${base[@]}" \
    >"$out/$name.part" && mv "$out/$name.part" "$out/$name.json"
}

# 7 rates, 4 lines of 3, and the combination: 20 runs.
search independent 7 3 --search independent
search random 7 3 --search random --points "$points"

for name in independent random; do
  [ -s "$out/again-$name.json" ] && continue
  read -ra settings < <(python3 -c 'import json, sys
print(*(f"{key}={value}" for key, value in json.load(open(sys.argv[1]))["winner"].items()))' "$out/$name.json")
  "$rung" sweep --device "$device" --data "$data" --json --quiet --out "$out/again-$name" --over seed=1001 \
    --set "${base[@]}" "${settings[@]}" train.members="$seeds" >"$out/again-$name.part" && mv "$out/again-$name.part" "$out/again-$name.json"
done

python3 - "$out" <<'PYTHON'
import json, math, statistics, sys
def losses(name): return {r['seed']: r['L'] for r in json.load(open(f'{sys.argv[1]}/{name}.json'))['runs']}
for name in ('independent', 'random'):
    study, again = json.load(open(f'{sys.argv[1]}/{name}.json')), losses('again-' + name)
    print(f"{name}: {len(study['runs'])} runs, winner {study['winner']}, best {study['best']['L']:.4f}, "
          f"on {len(again)} fresh seeds {statistics.mean(again.values()):.4f} +- {statistics.stdev(again.values()):.4f}")
a, b = losses('again-independent'), losses('again-random')
difference = [100 * (a[s] - b[s]) / b[s] for s in sorted(a)]
n, mean = len(difference), statistics.mean(difference)
half = 1.645 * (1 + 3.71 / (4 * (n - 1))) * statistics.stdev(difference) / math.sqrt(n)  # Student's t, Cornish-Fisher
print(f'independent over random: {mean:+.3f} % ({mean - half:+.3f} .. {mean + half:+.3f} %), {n} pairs')
PYTHON
