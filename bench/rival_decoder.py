"""The decoder that bench/rival_gpu.py trains, as a careful user would write it in PyTorch: bf16 residual stream, fused
QKV and gate-up matrices, F.scaled_dot_product_attention, F.cross_entropy; or a recurrent mixer of
bench/rival_mixers.py in place of attention and ffn."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from rival_mixers import MIXERS


class Block(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x, cosine, sine):
        B, T, D = x.shape
        q, k, v = self.qkv(F.rms_norm(x, (D,))).view(B, T, 3, self.heads, D // self.heads).unbind(2)
        q, k, v = (y.transpose(1, 2) for y in (rotate(q, cosine, sine), rotate(k, cosine, sine), v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
        gate, up = self.gate_up(F.rms_norm(x, (D,))).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class MixerBlock(nn.Module):
    """A recurrent mixer alone, without an ffn."""

    def __init__(self, job):
        super().__init__()
        self.mixer = MIXERS[job["mixer"]](job)

    def forward(self, x, cosine, sine):
        return x + self.mixer(F.rms_norm(x, (x.shape[-1],)))


def rotate(x, cosine, sine):
    """x [B, T, heads, d]; the rotation is computed in fp32 and rounded once."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1).to(x.dtype)


class Decoder(nn.Module):
    def __init__(self, job):
        super().__init__()
        width, dim = job["width"], job["width"] // job["heads"]
        self.embedding = nn.Embedding(job["vocabulary"], width)
        attention = job["mixer"] == "attention"
        self.blocks = nn.ModuleList(Block(width, job["heads"], job["inner"]) if attention else MixerBlock(job)
                                    for _ in range(job["depth"]))
        self.readout = nn.Linear(width, job["vocabulary"], bias=False)
        frequency = torch.exp(torch.arange(dim // 2) * (-2.0 * math.log(10000.0) / dim))
        angle = torch.outer(torch.arange(job["context"]), frequency).unsqueeze(1)
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())
        for name, weight in self.named_parameters():
            nn.init.normal_(weight, std=1.0 if name.startswith("embedding") else weight.shape[-1] ** -0.5)
        if not attention:
            for block in self.blocks:
                block.mixer.draw()

    def forward(self, tokens, targets):
        x = self.embedding(tokens).bfloat16()
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        logits = self.readout(F.rms_norm(x, (x.shape[-1],)))
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
