#!/usr/bin/env bash
# Optimizers against tuned AdamW, each with its own learning rate, seeds as members; a Markdown table a stage:
#   schedule-free  one Schedule-Free run of 4 T tokens against tuned cosine runs of T, 2 T and 4 T (Defazio et al. 2024: on their envelope)
#   speed, steps   SOAP and Muon at three sizes: tokens a second of one model alone on the device; loss at T, and the share of AdamW's steps
#                  and of its time that brings them to AdamW's loss
# Usage: bench/optimizers.sh RUNG OUT [stage...]
# Environment: DEVICE (cpu, cuda), DATA (text), SEEDS (3), T (250e3, of schedule-free), WIDTHS ("64 128 256") and TOKENS ("8e6 16e6 32e6", one a
# width), OPTIMIZERS ("adamw soap muon"), BATCH (16384), RATES (2^-10..2^-4:7) and MUON_RATES (2^-8..2^-2:7) of steps, SPEED_TOKENS (2457600, of a run
# that measures speed), THREADS. SOAP_RATES ("0.002 0.004 0.008") makes SOAP a sweep a rate: it takes its members' matrices one after another, so that a
# population saves nothing and what was interrupted is less. What is in OUT already is not made again.
set -uo pipefail
rung=$1 out=$2
shift 2
device=${DEVICE:-cpu} data=${DATA:-default} seeds=${SEEDS:-3} t=${T:-250e3}
read -ra widths <<<"${WIDTHS:-64 128 256}"
read -ra tokens <<<"${TOKENS:-8e6 16e6 32e6}"
precision=fp32
[ "$device" = cuda ] && precision=bf16
mkdir -p "$out"

sweep() { # name, device, settings and --over...
  local name=$1 on=$2
  shift 2
  [ -s "$out/$name.json" ] && return
  rm -rf "$out/$name"
  "$rung" sweep --device "$on" --data "$data" --json --quiet ${THREADS:+--threads "$THREADS"} --out "$out/$name" "$@" parametrisation=standard \
    train.members="$seeds" train.warmup=0.05 >"$out/$name.part" 2>"$out/$name.err" && mv "$out/$name.part" "$out/$name.json" || sed 's/^/  /' "$out/$name.err"
}

speed() { # name, optimizer, settings...: tokens a second of one model
  local name=$1 optimizer=$2
  shift 2
  [ -s "$out/$name.speed" ] && return
  "$rung" train --device "$device" --data "$data" --json --quiet --out "$out/$name-speed" --set "$@" train.optimizer="$optimizer" train.lr=0.002 \
    parametrisation=standard train.eval_tokens=4096 >"$out/$name.part" && mv "$out/$name.part" "$out/$name.speed"
  rm -rf "$out/$name-speed"
}

for stage in ${*:-schedule-free speed steps}; do
  case $stage in
    schedule-free)
      shape="model.width=64 model.depth=4 model.context=64 model.head_dim=32 train.batch_tokens=4096 precision=$precision"
      sweep free-cosine "$device" --over 'train.lr=2^-9..2^-5:5' --over "train.tokens=[$t,$(python3 -c "print(2*$t)"),$(python3 -c "print(4*$t)")]" \
        --set $shape train.schedule=cosine
      sweep free-free "$device" --over 'train.lr=2^-8..2^-3:6' --set $shape train.schedule=constant train.optimizer=schedule-free-adamw \
        train.tokens="$(python3 -c "print(4*$t)")" train.eval_every="$(python3 -c "print(int($t/4096))")"
      ;;
    speed | steps)
      for i in "${!widths[@]}"; do
        w=${widths[$i]} n=${tokens[$i]}
        shape="model.width=$w model.depth=4 model.context=256 model.head_dim=16 train.batch_tokens=${BATCH:-16384} precision=$precision"
        half=$(python3 -c "print($n/2)")
        for optimizer in ${OPTIMIZERS:-adamw soap muon}; do
          rates=${RATES:-2^-10..2^-4:7}
          [ $optimizer = muon ] && rates=${MUON_RATES:-2^-8..2^-2:7}
          if [ "$stage" = speed ]; then
            speed "steps-$w-$optimizer" $optimizer $shape train.tokens=${SPEED_TOKENS:-2457600} train.warmup=0.05
          elif [ $optimizer = soap ] && [ -n "${SOAP_RATES:-}" ]; then
            for rate in $SOAP_RATES; do
              sweep "steps-$w-soap-$rate" "$device" --over "train.tokens=[$half,$n]" --set $shape train.optimizer=soap train.lr="$rate"
            done
          else
            sweep "steps-$w-$optimizer" "$device" --over "train.lr=$rates" --over "train.tokens=[$half,$n]" --set $shape train.optimizer=$optimizer
          fi
        done
      done
      ;;
    *) echo "no such stage: $stage" >&2 && exit 2 ;;
  esac
done

python3 - "$out" <<'PYTHON'
import collections, glob, json, math, os, statistics, sys
out = sys.argv[1]

def best(paths, key):
    """Mean loss over seeds of the best rate in these sweeps, by `key` (a column of runs.csv)."""
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in (r for path in paths for r in json.load(open(path))['runs']):
        if r['status'] == 'ok': runs[r[key]][r['lr']].append(r['L'])
    found = {k: min((statistics.mean(v), lr, statistics.stdev(v) if len(v) > 1 else 0.0) for lr, v in rates.items()) for k, rates in sorted(runs.items())}
    for k, (_, lr, _) in found.items():
        if lr in (min(runs[k]), max(runs[k])): print(f'{os.path.basename(paths[0])}: the best rate at {k:.3g} tokens, {lr:.3g}, is the first or last one tried', file=sys.stderr)
    return found

cosine, free = out + '/free-cosine.json', out + '/free-free.json'
if os.path.exists(cosine) and os.path.exists(free):
    envelope = best([cosine], 'D')
    _, lr, _ = best([free], 'D').popitem()[1]
    evals = []
    for path in glob.glob(out + '/free-free/runs/*/log.jsonl'):
        events = [json.loads(line) for line in open(path)]
        wanted = [i for i, m in enumerate(events[-1]['results']) if math.isclose(m['lr'], lr)]
        evals = [(e['tokens'], [e['loss'][i] for i in wanted]) for e in events if e['event'] == 'eval']
    print('| tokens | tuned cosine: loss, rate | one Schedule-Free run, rate %.3g | difference |\n|---|---|---|---|' % lr)
    for tokens, (loss, rate, sd) in envelope.items():
        at, losses = min(evals, key=lambda e: abs(e[0] - tokens))
        mean = statistics.mean(losses)
        print(f'| {tokens / 1e6:.2f}M | {loss:.4f} +- {sd:.4f}, {rate:.3g} | {mean:.4f} +- {statistics.stdev(losses) if len(losses) > 1 else 0:.4f} (at {at / 1e6:.2f}M) | {100 * (mean / loss - 1):+.2f} % |')

rows, sweeps = collections.defaultdict(dict), collections.defaultdict(list)
for path in sorted(glob.glob(out + '/steps-*.json')):
    sweeps[tuple(os.path.basename(path)[:-5].split('-')[1:3])].append(path)
for (width, optimizer), paths in sweeps.items():
    speed = f'{out}/steps-{width}-{optimizer}.speed'
    if os.path.exists(speed): rows[int(width)][optimizer] = (best(paths, 'D'), json.load(open(speed))['tokens_per_second'])
if rows:
    print('\n| width | tokens | optimizer | loss at half, at all (rate) | steps to AdamW\'s loss | tokens/s, one model | time to AdamW\'s loss |\n|---|---|---|---|---|---|---|')
for width, optimizers in sorted(rows.items()):
    if 'adamw' not in optimizers: continue
    target = max(optimizers['adamw'][0].items())[1][0]
    for name, (losses, speed) in sorted(optimizers.items()):
        (d0, (l0, _, _)), (d1, (l1, rate, _)) = losses.items()
        steps = math.exp(math.log(l0 / target) / math.log(l0 / l1) * math.log(d1 / d0)) * d0 / d1  # a straight line in ln L over ln D
        beyond = '*' if not 0.5 <= steps <= 1 else ''
        print(f"| {width} | {d1 / 1e6:.0f}M | {name} | {l0:.4f}, {l1:.4f} ({rate:.3g}) | {steps:.2f}{beyond} | {speed:.4g} | {steps * optimizers['adamw'][1] / speed:.2f} |")
PYTHON
