#!/usr/bin/env bash
# Five mixers on text, a climb each, targets at least 30 times beyond each ladder, and who is ahead in FLOPs and in time.
#   attention   the default block: attention with offset keys, SwiGLU
#   mamba2      Mamba-2 without ffns, as its authors stack it
#   mlstm       xLSTM [1:0], without ffns
#   xlstm       mLSTM blocks and a last one of sLSTM with its GeGLU of 1.3: xLSTM [1:1], [3:1] at DEPTH=4, [7:1] at 8
#   hybrid      Mamba-2 blocks and a last one of attention with SwiGLU
# Usage: bench/five_mixers.sh RUNG OUT     Environment: DEVICE (cpu, cuda), DATA (text), BUDGET (480s, which all five have at the same time), AHEAD (30),
# DEPTH (2), RATIO (20 tokens a parameter), MORE (further options, such as --dry-run). Run again with the same OUT it goes on where it stopped.
set -uo pipefail
rung=$1 out=$2
depth=${DEPTH:-2}
last=$((depth - 1))
read -ra more <<<"${MORE:-}"
[ -e "$out/compare.json" ] || [ -e "$out/attention/plan.json" ] && more+=(--resume)
"$rung" climb --device "${DEVICE:-cuda}" --data "${DATA:-default}" --budget "${BUDGET:-480s}" --ahead "${AHEAD:-30}" --out "$out" \
  --tokens-per-parameter "${RATIO:-20}" \
  --compare attention \
  --compare 'mamba2:model.mixer=mamba2+model.ffn=none' \
  --compare 'mlstm:model.mixer=mlstm+model.ffn=none' \
  --compare "xlstm:model.pattern=\"mlstm x$last, slstm\"+model.ffn_pattern=\"none x$last, geglu\"+model.ffn_ratio=1.3" \
  --compare "hybrid:model.pattern=\"mamba2 x$last, attention\"+model.ffn_pattern=\"none x$last, swiglu\"" \
  --together --set model.depth="$depth" "${more[@]}"
