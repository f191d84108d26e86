"""Sums an ncu CSV log of gpu__time_duration by kernel; of each kernel, the last third of the launches counts
(warm-up passes run the step as often as the captured one)."""
import collections
import csv
import re
import sys

times = collections.defaultdict(list)
lines = [line for line in open(sys.argv[1], errors="replace") if line.startswith('"')]
for row in csv.DictReader(lines):
    value = float(row["Metric Value"].replace(",", ""))
    scale = {"ns": 1e-3, "us": 1.0, "usecond": 1.0, "nsecond": 1e-3, "ms": 1e3}[row["Metric Unit"]]
    name = re.sub(r"\(.*", "", row["Kernel Name"])[:90]
    times[name].append(value * scale)
rows = []
for name, values in times.items():
    last = values[len(values) - max(1, len(values) // 3):]
    rows.append((sum(last), len(last), name))
total = sum(row[0] for row in rows)
print(f"{total / 1e3:.3f} ms in {sum(row[1] for row in rows)} kernels")
for time, count, name in sorted(rows, reverse=True):
    print(f"{time:10.1f} us {100 * time / total:5.1f} % {count:4d} x  {name}")
