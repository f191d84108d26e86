"""The same decoder in plain PyTorch: what `rung bench` is measured against on a CPU.

    python3 bench/rival_cpu.py --width 64 --lrs 0.001,0.002 --steps 300 [--threads 2] [--compile] [--tokens FILE]
    python3 bench/rival_cpu.py --serve          one JSON job a line on stdin, one JSON result a line on stdout

A job is {"width", "depth", "context", "batch_tokens", "vocabulary", "ratio", "lrs", "steps", "warmup", "threads",
"compile", "tokens"}; missing keys keep their defaults. Models of one job train one after another. Results are
{"tokens", "seconds", "rate", "losses"}: the clock runs from the first step after `warmup` untimed ones to the last.

Written as a careful user would: fused QKV and gate-up matrices, F.scaled_dot_product_attention, F.rms_norm, AdamW with
fused=True, no synchronisation inside the loop, gradients set to None, fp32. Eager unless --compile."""

import argparse
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

DEFAULTS = {"width": 64, "depth": 4, "context": 128, "batch_tokens": 2048, "vocabulary": 256, "ratio": 3.0,
            "lrs": [0.003], "steps": 300, "warmup": 5, "threads": 0, "compile": False, "tokens": ""}


class Block(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.width, self.heads = width, heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x, cosine, sine):
        B, T, D = x.shape
        q, k, v = self.qkv(F.rms_norm(x, (D,))).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
        gate, up = self.gate_up(F.rms_norm(x, (D,))).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def rotate(x, cosine, sine):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)


class Decoder(nn.Module):
    def __init__(self, job):
        super().__init__()
        width, context = job["width"], job["context"]
        dim = width // 4
        self.embedding = nn.Embedding(job["vocabulary"], width)
        self.blocks = nn.ModuleList(Block(width, 4, round(job["ratio"] * width)) for _ in range(job["depth"]))
        self.readout = nn.Linear(width, job["vocabulary"], bias=False)
        frequency = torch.exp(torch.arange(dim // 2) * (-2.0 * math.log(10000.0) / dim))
        angle = torch.outer(torch.arange(context), frequency)
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())
        for name, weight in self.named_parameters():
            nn.init.normal_(weight, std=1.0 if name.startswith("embedding") else weight.shape[1] ** -0.5)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        logits = self.readout(F.rms_norm(x, (x.shape[-1],)))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def read_tokens(job):
    """Bytes of a file, or random tokens: the speed does not depend on what they are."""
    if job["tokens"]:
        with open(job["tokens"], "rb") as file:
            return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).long()
    return torch.randint(job["vocabulary"], (1 << 20,), generator=torch.Generator().manual_seed(1))


def train(job, lr, data):
    """Seconds of `warmup` steps (compilation included) and of the `steps` steps after them, last loss."""
    torch.manual_seed(1)
    context, rows = job["context"], job["batch_tokens"] // job["context"]
    model = Decoder(job)
    forward = torch.compile(model) if job["compile"] else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    offsets = torch.arange(context + 1)
    order = torch.randint(len(data) - context - 1, (job["warmup"] + job["steps"], rows, 1))
    began = start = time.perf_counter()
    for step in range(job["warmup"] + job["steps"]):
        if step == job["warmup"]:
            start = time.perf_counter()
        window = data[order[step] + offsets]
        loss = forward(window[:, :-1], window[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return start - began, time.perf_counter() - start, loss.item()


def run(job):
    job = {**DEFAULTS, **job}
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    data = read_tokens(job)
    results = [train(job, lr, data) for lr in job["lrs"]]
    seconds = sum(t for _, t, _ in results)
    tokens = job["steps"] * job["batch_tokens"] * len(job["lrs"])
    return {"tokens": tokens, "seconds": seconds, "rate": tokens / seconds, "losses": [loss for _, _, loss in results],
            "warmup_seconds": sum(t for t, _, _ in results), "torch": torch.__version__}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--lrs", default="0.003")
    parser.add_argument("--tokens", default="")
    for name in ("width", "depth", "context", "batch_tokens", "vocabulary", "steps", "warmup", "threads"):
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=DEFAULTS[name])
    arguments = vars(parser.parse_args())
    if arguments.pop("serve"):
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line))), flush=True)
        return
    arguments["lrs"] = [float(lr) for lr in arguments["lrs"].split(",")]
    print(json.dumps(run(arguments)))


if __name__ == "__main__":
    main()
