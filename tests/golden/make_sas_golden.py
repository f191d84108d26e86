"""Golden values for tests/model/mixers/sas_test.cpp, in fp64.

Usage: python3 make_sas_golden.py OUT.json, with torch. Written position by position from the paper (He & Hofmann 2024,
arXiv 2311.01906, equations 5 to 8 and figures 9 and 10) and differentiated by autograd; inputs and weights are sines, which
the tests compute too. `mixer` is the sub-block with values and output map around the identity, without positions; its
objective is sum(out * sines). `parallel` and `sequential` are whole decoders of two blocks (SAS-P without norms but the first
and the last, and SAS with norms), whose losses and gradients of the mean loss are given; the head's temperature is d^-1/2."""

import json
import math
import sys

import torch

from waves import sines

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

B, T, WIDTH, HEADS, VOCABULARY, INNER = 2, 11, 8, 2, 7, 16
D = WIDTH // HEADS


def sub_block(x, w):
    """One matrix a head and sequence: alpha I + beta softmax - gamma C, row by row."""
    v = x + x @ w["value"].T if "value" in w else x
    q, k = x @ w["query"].T, x @ w["key"].T
    sequences = []
    for b in range(x.shape[0]):
        heads = []
        for h in range(HEADS):
            units = slice(h * D, (h + 1) * D)
            matrix = torch.zeros(T, T)
            for t in range(T):
                scores = k[b, : t + 1, units] @ q[b, t, units] / math.sqrt(D)
                row = w["beta"][h] * torch.softmax(scores, 0) - w["gamma"][h] / (t + 1)
                row = row + w["alpha"][h] * torch.eye(t + 1)[t]
                matrix = torch.cat([matrix[:t], torch.cat([row, torch.zeros(T - t - 1)])[None], matrix[t + 1 :]])
            heads.append(matrix @ v[b, :, units])
        sequences.append(torch.cat(heads, -1))
    y = torch.stack(sequences)
    return y + y @ w["out"].T if "out" in w else y


def block_weights(layer, maps):
    w = {
        "query": sines((WIDTH, WIDTH), 0.71 + 0.05 * layer, 0.8),
        "key": sines((WIDTH, WIDTH), 0.57 + 0.05 * layer, 0.9),
        "alpha": sines((HEADS,), 1.3 + 0.05 * layer, 0.4, 1.0),
        "beta": sines((HEADS,), 0.9 + 0.05 * layer, 0.5, 1.1),
        "gamma": sines((HEADS,), 1.7 + 0.05 * layer, 0.3, 0.9),
    }
    if maps:
        w["value"] = sines((WIDTH, WIDTH), 0.43, 0.3)
        w["out"] = sines((WIDTH, WIDTH), 0.37, 0.3)
    return w


def norm(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def decoder(parallel):
    w = {"embedding": sines((VOCABULARY, WIDTH), 0.83, 1.2), "readout": sines((VOCABULARY, WIDTH), 0.63, 0.5)}
    for i in range(2):
        for name, value in block_weights(i, False).items():
            w[f"blocks.{i}.mixer.{name}"] = value
        w[f"blocks.{i}.ffn_gain"] = sines((1,), 1.0, 0.0, 0.3 + 0.1 * i)
        w[f"blocks.{i}.ffn.up"] = sines((INNER, WIDTH), 0.49 + 0.05 * i, 0.6)
        w[f"blocks.{i}.ffn.down"] = sines((WIDTH, INNER), 0.39 + 0.05 * i, 0.5)
    for value in w.values():
        value.requires_grad_()
    tokens = (torch.arange(B * (T + 1)) * 5 % VOCABULARY).view(B, T + 1)
    h = w["embedding"][tokens[:, :-1]]
    for i in range(2):
        mixer = {n: w[f"blocks.{i}.mixer.{n}"] for n in ("query", "key", "alpha", "beta", "gamma")}
        ffn = lambda x: w[f"blocks.{i}.ffn_gain"] * (gelu(x @ w[f"blocks.{i}.ffn.up"].T) @ w[f"blocks.{i}.ffn.down"].T)
        if parallel:
            x = norm(h) if i == 0 else h
            h = sub_block(x, mixer) + ffn(x)
        else:
            h = sub_block(norm(h), mixer)
            h = h + ffn(norm(h))
    logits = norm(h) @ w["readout"].T
    losses = torch.logsumexp(logits, -1) - logits.gather(-1, tokens[:, 1:, None])[..., 0]
    losses.mean().backward()
    gradients = {f"d{name}": value.grad.flatten().tolist() for name, value in w.items()}
    return {"losses": losses.detach().flatten().tolist(), **gradients}


def mixer():
    w = block_weights(0, True)
    x = sines((B, T, WIDTH), 0.83, 1.4)
    for value in (x, *w.values()):
        value.requires_grad_()
    out = sub_block(x, w)
    (out * sines(out.shape, 0.3)).sum().backward()
    gradients = {f"d{name}": value.grad.flatten().tolist() for name, value in w.items()}
    return {"out": out.detach().flatten().tolist(), "dx": x.grad.flatten().tolist(), **gradients}


json.dump(
    {"mixer": mixer(), "parallel": decoder(True), "sequential": decoder(False)},
    open(sys.argv[1], "w"),
)
