#!/usr/bin/env bash
# Fits of the stored tables: rung fit against scipy (bench/rival_laws.py), in turns, as a Markdown table.
#   bench/laws.sh [--rung FILE] [--python FILE] [--data FOLDER] [--sample 0.05] [CASE...]
# Seconds are processor time (user + system, all threads); `wall` is Rung's elapsed time with two threads. `published` is
# the authors' way (finite differences from every start of their grid), of which a share is run and scaled up; `careful`
# has analytic gradients, at most 64 starts and warm-started resamples, of which a share is run too. Needs numpy and scipy.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rung=$root/build-law/src/cli/rung-law python=python3 data=${RUNG_LAW_DATA:-$root/../shared/data/laws} sample=0.05
while [[ ${1:-} == --* ]]; do
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
    objective=$("$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(float(sys.argv[2]) + (r["objective"]["value"] or 0))' \
      "$work/fit.json" "$objective")
    processor=$(awk "BEGIN { print $processor + $u + $s }")
    elapsed=$(awk "BEGIN { print $elapsed + $e }")
  done <"$1/manifest"
  echo "$objective $processor $elapsed"
}

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
