#!/usr/bin/env bash
# The climbs of docs/climb.md, "With the present rules", and what they come to: relative errors, how many intervals hold the
# measured loss, the widest interval and the mean interval score.
#   bytes bpe   the shipped text with either tokenizer, three seeds each
#   synthetic   the language of known entropy, six seeds, targets at least 8 times ahead
#   gpu         DATA (a large text) on a GPU, three seeds, targets at least 15 times ahead
# Usage: bench/climbs.sh RUNG OUT [set...]     (default: bytes bpe synthetic)
# Environment: SEED (21: the first seed), BUDGET (4.4e13flop, or 300s on a GPU), DATA, MORE (further options of every climb).
# Climbs that have ended are kept; run again with the same OUT the others go on where they stopped.
set -uo pipefail
rung=$1 out=$2
shift 2
first=${SEED:-21}
read -ra more <<<"${MORE:-}"
mkdir -p "$out"

climb() { # name, options...
  local name=$1
  shift
  [ -s "$out/$name.json" ] && return
  [ -e "$out/$name/plan.json" ] && set -- "$@" --resume
  if "$rung" climb --json --quiet --out "$out/$name" "$@" "${more[@]}" >"$out/$name.part" 2>"$out/$name.err"; then
    mv "$out/$name.part" "$out/$name.json"
  else
    sed "s/^/$name: /" "$out/$name.err" >&2
  fi
}

[ $# -gt 0 ] || set -- bytes bpe synthetic
for set in "$@"; do
  budget=(--budget "${BUDGET:-4.4e13flop}") count=3
  case $set in
    bytes) options=() ;;
    bpe) options=(--set data.tokenizer=bpe data.vocabulary=1024) ;;
    synthetic) options=(--data synthetic --ahead 8) count=6 ;;
    gpu) options=(--device cuda --data "${DATA:-default}" --ahead 15) budget=(--budget "${BUDGET:-300s}") ;;
    *) echo "no such set: $set" >&2 && exit 2 ;;
  esac
  for ((seed = first; seed < first + count; ++seed)); do climb "$set-$seed" --seed "$seed" "${budget[@]}" "${options[@]}"; done
done

# Score of a central 90 % interval: width + 2 / 0.1 times what the measured loss lies beyond it (Gneiting & Raftery 2007),
# here in per cent of that loss, as errors and half-widths are.
python3 - "$out" <<'PYTHON'
import glob, json, os, statistics, sys
print('| climb | target N | FLOPs ahead | predicted, 90 % interval | measured | error | inside | far: FLOPs ahead, error | seconds |')
print('|---|---|---|---|---|---|---|---|---|')
sets = {}
for path in sorted(glob.glob(sys.argv[1] + '/*-*.json')):
    d, name = json.load(open(path)), os.path.basename(path)[:-5]
    if d['status'] != 'done':
        continue
    p, L, far = d['predicted'], d['measured']['loss'], d.get('far')
    beyond = max(0.0, p['lo'] - L, L - p['hi'])
    sets.setdefault(name.rsplit('-', 1)[0], []).append(
        (abs(100 * d['relative_error']), d['inside'], 50 * (p['hi'] - p['lo']) / L, 100 * (p['hi'] - p['lo'] + 20 * beyond) / L))
    reach = f"{far['extrapolation_flops']:.0f}x, {100 * far['relative_error']:+.2f} %" if far else '-'
    print(f"| {name} | {d['target']['N']} | {d['extrapolation_flops']:.1f}x | {p['loss']:.4f}, {p['lo']:.4f} .. {p['hi']:.4f} | {L:.4f} | "
          f"{100 * d['relative_error']:+.2f} % | {'yes' if d['inside'] else 'no'} | {reach} | {d['seconds']:.0f} |")
if len(sets) > 1:
    sets['all'] = sum(sets.values(), [])
for name, climbs in sets.items():
    error, inside, half, score = zip(*climbs)
    print(f'{name}: {len(climbs)} climbs, error {statistics.median(error):.2f} % in the median, {max(error):.2f} % at most; '
          f'{sum(inside)} inside, widest +-{max(half):.1f} %, mean interval score {statistics.mean(score):.2f}')
PYTHON
