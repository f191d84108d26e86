#!/usr/bin/env bash
# Small published transfer results, in their authors' settings as far as the text at hand allows, one table a stage:
#   demo     unit-scaling's examples/demo.ipynb: bytes, 4 layers, heads of 64, no positions, 5,000 steps of 16 x 256, widths 128 and 512
#   nanogpt  EleutherAI/nanoGPT-mup: 2 layers, batches of 32 x 1,024, 122 steps, muP and the standard parametrisation
#   everett  Everett et al. 2024 (arXiv 2407.05872): parametrisations and alignments; exponent of the best rate over the width
#   everett-best  the same paper's best form and what leads to it, in steps: one rate; rates and epsilon by layer (NTK, no alignment); parameter
#            scaling too; constants by role (gamma) too, from rates of each role tuned at the smallest width
#   supar    SuPar (arXiv 2405.15743): static masks of density 1 to 1/64
# Usage: bench/small_targets.sh RUNG OUT [stage...]
# Environment: DEVICE (cpu, cuda), DATA (text); of nanogpt also WIDTHS and NANOGPT (--set words), of everett RULES,
# of everett-best WIDTHS and BEST, of both it and demo SEEDS (--set words).
set -uo pipefail
rung=$1 out=$2
shift 2
device=${DEVICE:-cpu} data=${DATA:-default}
precision=fp32
[ "$device" = cuda ] && precision=bf16
mkdir -p "$out"

line() { # name, rates, key=list, settings...
  local name=$1 rates=$2 over=$3
  shift 3
  [ -s "$out/$name.json" ] && return
  "$rung" sweep --device "$device" --data "$data" --json --quiet --out "$out/$name" --over "train.lr=$rates" --over "$over" \
    --set precision=$precision "$@" >"$out/$name.part" 2>"$out/$name.err" && mv "$out/$name.part" "$out/$name.json" || sed 's/^/  /' "$out/$name.err"
}

# Gamma of Everett et al.: the best multiplier of each role's rate at the base shape, from an independent search.
gammas() { # name, settings...
  local name=$1
  shift
  mkdir -p "$out/gamma"
  [ -s "$out/gamma/$name.json" ] || "$rung" sweep --device "$device" --data "$data" --json --quiet --out "$out/gamma/$name" --search independent \
    --over 'train.lr=2^-10..2^-2:9' --over 'train.lr_embedding=2^-2..2^6:9' --over 'train.lr_hidden=2^-3..2^3:7' --over 'train.lr_readout=2^-3..2^3:7' \
    --set precision=$precision "$@" >"$out/gamma/$name.json" || return 1
  python3 -c '
import json, sys
winner = json.load(open(sys.argv[1]))["winner"]
print(*("train.lr_%s=%s" % (role, winner["train.lr_" + role]) for role in ("embedding", "hidden", "readout")))' "$out/gamma/$name.json"
}

for stage in ${*:-demo nanogpt everett everett-best supar}; do
  case $stage in
    demo)
      shape="model.depth=4 model.head_dim=64 model.ffn_ratio=2 model.norm=layernorm model.position=none model.context=256
        train.batch_tokens=4096 train.tokens=20.48e6 train.schedule=cosine train.warmup=1000 train.members=${SEEDS:-4}"
      line demo-umup '2^-3..2^2:6' 'model.width=[128,512]' $shape parametrisation=umup
      line demo-standard '2^-12..2^-7:6' 'model.width=[128,512]' $shape parametrisation=standard
      ;;
    nanogpt)
      shape="model.depth=2 ${NANOGPT:-model.head_dim=64 model.context=1024 train.batch_tokens=32768 train.tokens=4e6 train.members=4 base_width=256}"
      for rule in mup standard; do
        line nanogpt-$rule '2^-13..2^-5:9' "model.width=${WIDTHS:-[256,512,1024]}" $shape parametrisation=$rule
      done
      ;;
    everett)
      shape="model.context=64 model.head_dim=32 train.batch_tokens=4096 train.tokens=2e6 train.members=4"
      for rule in ${RULES:-standard ntk mup-table9 mfp}; do
        for alignment in global full none; do
          line everett-$rule-$alignment '2^-12..2^-4:9' 'model.width=[64,128,256,512]' $shape parametrisation=$rule alignment=$alignment
        done
      done
      ;;
    everett-best)
      shape="${BEST:-model.context=64 model.head_dim=32 train.batch_tokens=4096 train.tokens=2e6} base_width=64 train.members=${SEEDS:-4}"
      widths="model.width=${WIDTHS:-[64,128,256,512]}" scaled="parametrisation=ntk alignment=none train.optimizer=adam-scaled"
      line best-1-standard-global '2^-12..2^-4:9' "$widths" $shape parametrisation=standard alignment=global
      line best-2-ntk-none '2^-12..2^-4:9' "$widths" $shape parametrisation=ntk alignment=none
      line best-3-scaled '2^-10..2^-2:9' "$widths" $shape $scaled
      gamma=$(gammas scaled $shape $scaled model.width=64) && echo "constants of best-4: $gamma" &&
        line best-4-scaled-gamma '2^-10..2^-2:9' "$widths" $shape $scaled $gamma
      ;;
    supar)
      line supar '2^-12..2^-5:8' 'model.density=[1,0.25,0.0625,0.015625]' model.width=256 model.context=64 model.head_dim=32 base_width=64 \
        train.batch_tokens=4096 train.tokens=4e6 train.members=4 parametrisation=supar
      ;;
    *) echo "no such stage: $stage" >&2 && exit 2 ;;
  esac
done

python3 - "$out" <<'PYTHON'
import glob, json, os, sys
print('| line | best log2 lr and loss by value | drift per doubling, 90 % | last with first\'s lr | seeds |')
print('|---|---|---|---|---|')
for path in sorted(glob.glob(sys.argv[1] + '/*.json')):
    for t in json.load(open(path))['transfers']:
        optima = ', '.join(f"{p['value']:g}: {p['log2_lr']:+.2f}{'*' if p['at_edge'] else ''} ({p['loss']:.4f})" for p in t['points'])
        print(f"| {os.path.basename(path)[:-5]} | {optima} | {t['drift']:+.3f} ({t['lo']:+.3f} .. {t['hi']:+.3f}) | "
              f"{100 * t['points'][-1]['penalty']:+.2f} % | {t['seeds']} |")
PYTHON
