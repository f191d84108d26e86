#!/usr/bin/env bash
# How far the best learning rate moves with width, depth, batch and horizon under several parametrisations, at equal
# tokens and batch within a line: `rung sweep` with seeds as members, its JSON kept, and a Markdown table at the end.
# Usage: bench/transfer_study.sh RUNG OUT [stage...]   stages: width depth batch horizon (default: all)
# Environment: DEVICE (cpu, cuda), DATA (text), RULES ("umup mup completep standard"; of batch and horizon completedp for mup), SEEDS (4), TOKENS (4e6), WIDTHS, DEPTHS,
# BATCHES, HORIZONS (lists as of --over), BASE (more --set words).
set -uo pipefail
rung=$1 out=$2
shift 2
stages=${*:-width depth batch horizon}
device=${DEVICE:-cpu} data=${DATA:-default} seeds=${SEEDS:-4} tokens=${TOKENS:-4e6}
read -ra rules <<<"${RULES:-umup mup completep standard}"
read -ra base <<<"${BASE:-model.context=64 model.head_dim=32 train.batch_tokens=4096}"
[ "$device" = cuda ] && base+=(precision=bf16)
mkdir -p "$out"

# Learning rates around each rule's usual one: u-muP's is of the order of 1, the others' of 2^-8.
rates() { case $1 in umup) echo '2^-3..2^4:8' ;; *) echo '2^-12..2^-5:8' ;; esac }
# The depth rules are their own; a width rule shows what it does without one.
depth_rules() { echo "completep depth-mup umup"; }
# Here the width is the base's, where mup is completep; completedp has rules for both, counted from BASE's batch and TOKENS.
step_rules() { echo "${RULES:-umup completedp completep standard}"; }
base_run() {
  [ "$1" = completedp ] && printf 'base_tokens=%s\n' "$tokens" && printf '%s\n' "${base[@]}" | sed -n 's/^train\.batch_tokens=/base_batch_tokens=/p'
}

line() { # stage, rule, key=list, settings...
  local stage=$1 rule=$2 over=$3 name=$1-$2
  shift 3
  [ -s "$out/$name.json" ] && return
  mapfile -t from < <(base_run "$rule")
  "$rung" sweep --device "$device" --data "$data" --json --quiet --out "$out/$name" --over "train.lr=$(rates "$rule")" \
    --over "$over" --set "${base[@]}" parametrisation="$rule" train.members="$seeds" train.tokens="$tokens" "${from[@]}" "$@" \
    >"$out/$name.part" 2>"$out/$name.err" && mv "$out/$name.part" "$out/$name.json" || sed 's/^/  /' "$out/$name.err"
}

for stage in $stages; do
  case $stage in
    width) for rule in "${rules[@]}"; do line width "$rule" "model.width=${WIDTHS:-[64,128,256,512,1024]}"; done ;;
    depth) for rule in $(depth_rules); do line depth "$rule" "model.depth=${DEPTHS:-[2,4,8,16,32,64]}" model.width=64; done ;;
    batch) for rule in $(step_rules); do line batch "$rule" "train.batch_tokens=${BATCHES:-[1024,4096,16384]}" model.width=64; done ;;
    horizon) for rule in $(step_rules); do line horizon "$rule" "train.tokens=${HORIZONS:-[1e6,4e6,16e6]}" model.width=64; done ;;
    *) echo "no such stage: $stage" >&2 && exit 2 ;;
  esac
done

python3 - "$out" <<'PYTHON'
import glob, json, math, os, sys
print('| line | rule | best log2 lr by value | drift per doubling, 90 % | last with first\'s lr | transfer error | seeds |')
print('|---|---|---|---|---|---|---|')
for path in sorted(glob.glob(sys.argv[1] + '/*-*.json')):
    stage, rule = os.path.basename(path)[:-5].split('-', 1)
    for t in json.load(open(path))['transfers']:
        optima = ', '.join(f"{p['value']:g}: {p['log2_lr']:+.2f}{'*' if p['at_edge'] else ''}" for p in t['points'])
        error = t['transfer_error']
        print(f"| {stage} | `{rule}` | {optima} | {t['drift']:+.3f} ({t['lo']:+.3f} .. {t['hi']:+.3f}) | "
              f"{100 * t['points'][-1]['penalty']:+.2f} % | {'-' if error is None else f'{100 * error:.2f} %'} | {t['seeds']} |")
PYTHON
