#!/bin/bash
# Kills a climb with kill -9 at random moments, resumes it, and compares prediction and measured loss
# with an undisturbed climb's, bit by bit. Usage: kill_resume.sh RUNG [MOMENTS [CLIMB OPTIONS...]]
# One line a moment; the exit status is 1 when any differs. SEED=n repeats the same moments.
rung=$(realpath "$1")
moments=${2:-20}
shift $(($# < 2 ? $# : 2))
options=("$@")
[ ${#options[@]} -gt 0 ] ||
  options=(--data synthetic:vocabulary=32 --tokens-per-parameter 8 --budget 3e10flop --threads 2
    --set model.depth=1 model.context=16 train.eval_tokens=32768)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
RANDOM=${SEED:-$$}

climb() { "$rung" climb "${options[@]}" --quiet --json "$@"; }
measured() { python3 -c "import json, sys; print(json.load(open(sys.argv[1]))['measured'])" "$1"; }
stage() { sed -nE 's/.*"stage":"([a-z]+)".*/\1/p' "$1/log.jsonl" 2>/dev/null | tail -1; }

start=$(date +%s%N)
climb --out whole >whole.json || exit 1
took=$((($(date +%s%N) - start) / 1000000))
echo "undisturbed: $took ms, prediction $(sha256sum <whole/prediction.json | head -c 12), measured $(measured whole.json)"
different=0
for ((i = 1; i <= moments; ++i)); do
  moment=$((RANDOM * 32768 + RANDOM))
  moment=$((moment % took))
  # Not through climb(): kill must reach the program itself.
  "$rung" climb "${options[@]}" --quiet --json --out torn >/dev/null 2>&1 &
  pid=$!
  sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
  if ! kill -9 $pid 2>/dev/null; then # it was faster this time: another moment
    wait $pid
    rm -rf torn
    i=$((i - 1))
    continue
  fi
  wait $pid 2>/dev/null
  where=$(stage torn)
  climb --out torn --resume >torn.json
  status=$?
  verdict=equal
  if [ $status != 0 ] || ! cmp -s whole/prediction.json torn/prediction.json ||
    [ "$(measured torn.json)" != "$(measured whole.json)" ]; then
    verdict="DIFFERENT (status $status)"
    different=$((different + 1))
  fi
  printf '%2d  %6d ms  %-10s  %s\n' "$i" "$moment" "${where:-start}" "$verdict"
  rm -rf torn
done
echo "$((moments - different)) of $moments equal"
[ $different = 0 ]
