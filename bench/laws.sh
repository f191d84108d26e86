#!/usr/bin/env bash
# Fits of the stored tables: rung fit against scipy (bench/rival_laws.py), in turns, as a Markdown table.
#   bench/laws.sh [--rung FILE] [--python FILE] [--data FOLDER] [--sample 0.05] [CASE...]
# Seconds are processor time (user + system, all threads); `wall` is Rung's elapsed time with two threads. `published` is
# the authors' way (finite differences from every start of their grid), of which a share is run and scaled up; `careful`
# has analytic gradients, at most 64 starts and warm-started resamples, of which a share is run too. Needs numpy and scipy.
#   bench/laws.sh --alone: only Rung, no scipy: every stored table with 1,000 resamples and their elapsed seconds together,
#   Epoch's with 4,000, and the learning curves with 100 block bootstraps.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
alone=0
rung=$root/build-law/src/cli/rung-law python=python3 data=${RUNG_LAW_DATA:-$root/../shared/data/laws} sample=0.05
while [[ ${1:-} == --* ]]; do
  [[ $1 == --alone ]] && { alone=1; shift; continue; }
  case $1 in
    --rung) rung=$2 ;;
    --python) python=$2 ;;
    --data) data=$2 ;;
    --sample) sample=$2 ;;
    *) echo "[laws] Unknown option. Received $1." >&2; exit 2 ;;
  esac
  shift 2
done
cases=("$@")
[[ ${#cases[@]} -gt 0 ]] || cases=(epoch kyo olmo vocab-a3 vocab-a1 rectified routing critical-batch)
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }

# Every table of a case, one process each: sums of objective, processor and elapsed seconds.
run_rung() {
  local file law options objective=0 processor=0 elapsed=0 e u s
  while read -r file law options; do
    # shellcheck disable=SC2086
    command time -f '%e %U %S' -o "$work/time" "$rung" fit "$file" --law "$law" $options --bootstrap "$2" --threads 2 --json \
      >"$work/fit.json" || [[ $? == 3 ]]
    read -r e u s < <(tail -1 "$work/time")
    objective=$("$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(float(sys.argv[2]) + sum(f["objective"]["value"] or 0 for f in r.get("fits", [r])))' \
      "$work/fit.json" "$objective")
    processor=$(awk "BEGIN { print $processor + $u + $s }")
    elapsed=$(awk "BEGIN { print $elapsed + $e }")
  done <"$1/manifest"
  echo "$objective $processor $elapsed"
}

# Elapsed and processor seconds of tables that are fitted as they are: NAME RESAMPLES ARGUMENTS of rung fit.
run_alone() {
  local name=$1 bootstrap=$2 e u s status=0
  shift 2
  command time -f '%e %U %S' -o "$work/time" "$rung" fit "$@" --bootstrap "$bootstrap" --threads 2 --json >"$work/fit.json" || status=$?
  [[ $status == 0 || $status == 3 ]] || { cat "$work/fit.json" >&2; exit "$status"; }
  read -r e u s < <(tail -1 "$work/time")
  all=$(awk "BEGIN { print $all + $e }")
  awk "BEGIN { printf \"| %s | %s | %.3g | %.3g |\\n\", \"$name\", \"$([[ $status == 0 ]] && echo fitted || echo refused)\", $u + $s, $e }"
}

# The three training runs of a size that its authors fit, in one table, and what they leave out: the warm-up.
run_curves() {
  local size run folder
  cat >"$work/schedules.csv" <<'END'
run,step,lr,shape
constant_24000,0,0,linear
constant_24000,2159,3e-4,hold
constant_24000,24000,3e-4,
cosine_24000,0,0,linear
cosine_24000,2159,3e-4,hold
cosine_24000,2160,3e-4,cosine
cosine_24000,24000,3e-5,
wsdcon_9,0,0,linear
wsdcon_9,2159,3e-4,hold
wsdcon_9,8000,9e-5,hold
wsdcon_9,16000,9e-5,
END
  for size in 25 100 400; do
    folder=$data/multi-power/loss_curve_repo/csv_$size
    echo run,step,loss >"$work/curves.csv"
    for run in cosine_24000 constant_24000 wsdcon_9; do
      awk -F, -v run="$run" 'NR > 1 { print run "," $1 "," $3 }' "$folder/$run.csv" >>"$work/curves.csv"
    done
    run_alone "learning curves, ${size}M, 100 resamples" 100 "$work/curves.csv" --law multi-power --schedules "$work/schedules.csv"
  done
}

# Every stored table once; the sum is of those with 1,000 resamples.
run_all() {
  local case shipped=$root/tests/law/data all=0 file law options i
  printf 'Nnv\n33e6\n85e6\n151e6\n302e6\n631e6\n1130e6\n2870e6\n' >"$work/bodies.csv"
  echo "| table | result | processor, s | elapsed, s |"
  echo "|---|---|---|---|"
  for case in epoch kyo olmo vocab-a3 vocab-a1 rectified routing critical-batch; do
    "$python" "$root/bench/rival_laws.py" "$case" --data "$data" --tables "$work/$case"
    i=
    while read -r file law options; do
      # shellcheck disable=SC2086
      run_alone "$case${i:+ $i}" 1000 "$file" --law "$law" $options
      i=$((${i:-1} + 1))
    done <"$work/$case/manifest"
  done
  run_alone "Epoch, 245 points" 1000 "$shipped/chinchilla-epoch/points.csv"
  run_alone step-law 1000 "$data/step-law/dense_lr_bs_loss.csv" --law step-law --columns "L=smooth loss" --setting sequence=2048
  run_alone vocabulary-1 1000 "$data/vocab/exp_data.csv" --law vocabulary-1
  run_alone vocabulary-2 1000 "$work/bodies.csv" --law vocabulary-2 --setting base=3145728
  run_alone vocabulary-3 1000 "$data/vocab/exp_data.csv" --law vocabulary-3
  echo "| all | | | $all |"
  run_alone "Epoch, 240 points, 4,000 resamples" 4000 "$shipped/chinchilla-epoch/points.csv" --where 'loss < 3.44'
  run_curves
}

if [[ $alone == 1 ]]; then
  run_all
  exit
fi

echo "| case | fits | bootstraps | Rung, s | wall | careful scipy, s | ratio | published way, s | ratio | objective Rung | scipy |"
echo "|---|---|---|---|---|---|---|---|---|---|---|"
for case in "${cases[@]}"; do
  bootstrap=1000
  [[ $case == epoch ]] && bootstrap=4000
  [[ $case == vocab-a3 ]] && bootstrap=0
  "$python" "$root/bench/rival_laws.py" "$case" --data "$data" --tables "$work/$case"
  read -r objective processor elapsed < <(run_rung "$work/$case" "$bootstrap")
  "$python" "$root/bench/rival_laws.py" "$case" --sample "$sample" --data "$data" --bootstrap "$bootstrap" >"$work/careful.json"
  careful=$("$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["optimum_seconds"] + r["bootstrap_seconds"])' "$work/careful.json")
  published=- slower=-
  if [[ $case == epoch || $case == vocab-a3 ]]; then
    "$python" "$root/bench/rival_laws.py" "$case" --way published --sample "$sample" --data "$data" --bootstrap "$bootstrap" \
      >"$work/published.json"
    published=$("$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(round(r["optimum_seconds"] + r["bootstrap_seconds"], 1))' "$work/published.json")
    slower=$(awk "BEGIN { printf \"%.0f\", $published / $processor }")
  fi
  awk "BEGIN { printf \"| %s | %d | %d | %.3g | %.3g | %.3g | %.1f | %s | %s | %.9g | %.9g |\\n\", \"$case\", $(field "$work/careful.json" fits), $bootstrap, \
    $processor, $elapsed, $careful, $careful / $processor, \"$published\", \"$slower\", $objective, $(field "$work/careful.json" objective) }"
done
