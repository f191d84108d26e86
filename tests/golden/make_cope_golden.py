"""Golden values for tests/ops/cope_test.cpp, in fp64.

Usage: python3 make_cope_golden.py OUT.json, with the packages torch and x-transformers (2.31.10), whose module CoPE
(after appendix B of Golovneva et al. 2024, arXiv 2405.18719) gives the contextual bias; the attention around it is
written here. Inputs are sines, which the test computes too."""

import json
import sys

import torch
from x_transformers.x_transformers import CoPE

torch.set_default_dtype(torch.float64)
BATCH, TIME, HEADS, DIM, POSITIONS = 2, 9, 3, 4, 5


def sines(count, step, size):
    return torch.sin(torch.arange(count) * step) * size


def attend(scaled, logit, forward=1.0):
    qkv = sines(BATCH * TIME * 3 * HEADS * DIM, 0.7, 2.0).view(BATCH, TIME, 3, HEADS, DIM).requires_grad_()
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    cope = CoPE(dim=DIM, heads=HEADS, max_pos=POSITIONS)
    cope.pos_emb.data = sines(POSITIONS * DIM, 1.3, 1.5).view(POSITIONS, DIM)
    future = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
    content = (q @ k.transpose(-1, -2) * logit).masked_fill(future, -torch.finfo(torch.float64).max)
    bias = cope(q, content) * (logit if scaled else 1.0)
    out = (torch.softmax(content + bias, -1) @ v).transpose(1, 2).flatten(2)
    weight = sines(out.numel(), 0.3, 1.0).view(out.shape)
    (out * weight).sum().backward()
    return {"out": out.flatten().tolist(), "dqkv": qkv.grad.flatten().tolist(),
            "dpositions": cope.pos_emb.grad.flatten().tolist()}


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump({"scaled": attend(True, 0.5), "unscaled": attend(False, 0.5)}, file, indent=0)
