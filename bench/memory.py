#!/usr/bin/env python3
"""What runs were planned to hold on a GPU beside what they held.

    bench/memory.py RUNG [--cases NAME,...] [--jobs N] [--json FILE]

A line a case: the plan's parts, the most that tensors took, and what the allocator kept; the last
column says whether the first two lie within 5 %. Exit status 1 where one does not.
"""
import argparse
import concurrent.futures
import json
import subprocess
import sys
import tempfile

# name: members, width, depth, context, sequences, vocabulary, further settings
CASES = {
    "w64": (1, 64, 4, 256, 16, 4096, "model.head_dim=16"),
    "w128": (1, 128, 4, 256, 16, 4096, "model.head_dim=32"),
    "w256": (1, 256, 4, 256, 64, 8192, "model.ffn_ratio=2.75"),
    "w512": (1, 512, 6, 1024, 32, 32768, "model.ffn_ratio=2.75"),
    "w512-1365": (1, 512, 6, 1024, 32, 32768, "model.ffn_ratio=2.6667"),
    "w768": (1, 768, 12, 1024, 32, 32768, "model.ffn_ratio=2.6667"),
    "w768-parts": (1, 768, 12, 1024, 128, 256, "model.ffn_ratio=2.6667 train.memory=8e9"),
    "w512-recompute": (1, 512, 6, 1024, 32, 32768, "model.ffn_ratio=2.75 train.recompute=1"),
    "w768-recompute": (1, 768, 12, 1024, 32, 256, "model.ffn_ratio=2.6667 train.recompute=1"),
    "w768-recompute-2": (1, 768, 12, 1024, 32, 256, "model.ffn_ratio=2.6667 train.recompute=2"),
    "gelu": (1, 1024, 8, 512, 64, 256, "model.head_dim=128 model.ffn=gelu model.ffn_ratio=4"),
    "shared-keys": (1, 1024, 8, 512, 64, 256, "model.kv_heads=4"),
    "formats": (1, 512, 6, 1024, 32, 256, "formats.weight=e4m3 formats.activation=e4m3 formats.gradient=e5m2"),
    "w512-fp8": (1, 512, 6, 1024, 32, 32768, "precision=fp8 parametrisation=umup train.lr=0.25 model.ffn_ratio=2.75"),
    "w768-fp8": (1, 768, 12, 1024, 32, 256, "precision=fp8 parametrisation=umup train.lr=0.25 model.ffn_ratio=2.6667"),
    "w1024-fp8": (1, 1024, 8, 512, 64, 256, "precision=fp8 parametrisation=umup train.lr=0.25 model.head_dim=128 model.ffn=gelu model.ffn_ratio=4"),
    "w768-moments-bf16": (1, 768, 12, 1024, 8, 32768, "train.moments=bf16 model.ffn_ratio=2.6667"),
    "w768-moments-fp8": (1, 768, 12, 1024, 8, 32768, "train.moments=fp8 model.ffn_ratio=2.6667"),
    "p32-moments-fp8": (32, 256, 4, 256, 4, 256, "train.moments=fp8"),
    "w64-fp32": (1, 64, 4, 256, 16, 4096, "precision=fp32 model.head_dim=16"),
    "w256-fp32": (1, 256, 4, 256, 64, 8192, "precision=fp32"),
    "w512-fp32": (1, 512, 6, 512, 32, 32768, "precision=fp32 model.ffn_ratio=2.75"),
    "w512-fp32-recompute": (1, 512, 6, 512, 32, 32768, "precision=fp32 train.recompute=1"),
    "p32-w64": (32, 64, 4, 256, 16, 4096, "model.head_dim=16"),
    "p32-w64-bytes": (32, 64, 4, 256, 16, 256, "model.head_dim=16"),
    "p32-w128": (32, 128, 4, 256, 16, 4096, "model.head_dim=32"),
    "p32-w256": (32, 256, 4, 256, 16, 256, ""),
    "p32-w256-recompute": (32, 256, 4, 256, 16, 256, "train.recompute=1"),
    "p32-w64-fp32": (32, 64, 4, 256, 16, 256, "precision=fp32 model.head_dim=16"),
}


def run(rung, name, eval_tokens=65536):
    members, width, depth, context, sequences, vocabulary, more = CASES[name]
    batch = context * sequences
    data = f"synthetic:vocabulary={vocabulary}" if vocabulary != 256 else "synthetic"
    with tempfile.TemporaryDirectory() as out:
        command = [rung, "train", "--device", "cuda", "--json", "--quiet", "--out", out + "/run", "--data", data, "--set",
                   "precision=bf16", "data.repeat=true", "parametrisation=standard", "train.lr=0.001", "train.warmup=0",
                   f"train.eval_tokens={eval_tokens}", f"train.members={members}", f"model.width={width}",
                   f"model.depth={depth}", f"model.context={context}", "model.head_dim=64",
                   f"train.batch_tokens={batch}", f"train.tokens={4 * batch}"] + more.split()
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"name": name, "error": (done.stderr.strip().splitlines() or ["?"])[-1]}
    return {"name": name, **json.loads(done.stdout)["memory"]}


def line(r):
    if "error" in r:
        return f"memory {r['name']}: {r['error']} FAIL"
    gib = lambda key: r[key] / 2**30
    gap = lambda planned, measured: 100 * (r[planned] / r[measured] - 1)
    parts = ", ".join(f"{key} {gib(key):.3f}" for key in ("weights", "gradients", "optimizer", "pass", "evaluation", "other"))
    return (f"memory {r['name']}: in use {gib('measured_total'):.3f} GiB, planned {gib('total'):.3f} ({gap('total', 'measured_total'):+.1f} %); "
            f"held {gib('measured_held'):.3f}, planned {gib('held'):.3f} ({gap('held', 'measured_held'):+.1f} %); {parts}; "
            f"{r['sequences']} sequences at once{'' if r['counted'] else ', not counted'} {'pass' if r['ok'] else 'FAIL'}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("rung")
    p.add_argument("--cases", default=",".join(CASES))
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--eval-tokens", type=int, default=65536)
    p.add_argument("--json")
    a = p.parse_args()
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        results = []
        for r in pool.map(lambda name: run(a.rung, name, a.eval_tokens), a.cases.split(",")):
            r["ok"] = "error" not in r and abs(r["total"] / r["measured_total"] - 1) <= 0.05
            print(line(r), flush=True)
            results.append(r)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(results, f, indent=1)
    bad = sum(not r["ok"] for r in results)
    print(f"memory: {len(results) - bad} of {len(results)} within 5 %")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
