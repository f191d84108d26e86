"""Recurrent mixers of the GPU's rival, in plain PyTorch for torch.compile: Mamba-2 (SSD, section 6 of Dao & Gu 2024)
and mLSTM as in xLSTM 7B (Beck et al. 2025), both in chunks of matrix products.

    python3 bench/rival_mixers.py        the chunked forms against their recurrences in fp64, on the CPU

Written as a careful user would: products in the inputs' type, decays and gates in fp32, states between chunks by one
product with a matrix of decays instead of a loop, no copies of what heads share. The length of a chunk is the fastest
of a trial (`fastest_chunk`)."""

import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

STATE, EXPAND, FILTER = 128, 2, 4


# Scans that inductor cannot split into kernels at every shape: sums as products with ones, in fp32, and maxima over
# masked squares that are never stored.
def running_sums(x):
    """Along the last dimension."""
    ones = torch.ones(x.shape[-1], x.shape[-1], dtype=x.dtype, device=x.device).triu()
    with torch.autocast(x.device.type, enabled=False):
        return x @ ones


def running_maxima(x):
    later = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool, device=x.device).triu(1)
    return x.unsqueeze(-2).masked_fill(later, -torch.inf).amax(-1)


def decays_between(sums):
    """exp of the sums of logarithms over (j, i], for j <= i, of their running sums [.., L]."""
    size = sums.shape[-1]
    later = torch.ones(size, size, dtype=torch.bool, device=sums.device).triu(1)
    return (sums.unsqueeze(-1) - sums.unsqueeze(-2)).masked_fill(later, -torch.inf).exp()


def ssd(x, dt, a, b, c, chunk):
    """x [B, T, H, p], dt [B, T, H], a [H], b and c [B, T, N], which all heads share -> y like x."""
    B, T, H, P = x.shape
    C, kind = T // chunk, x.dtype
    sums = running_sums((dt * a).view(B, C, chunk, H).transpose(2, 3))  # [B, C, H, L]
    b, c = b.view(B, C, chunk, -1), c.view(B, C, chunk, -1)
    x = (x * dt.unsqueeze(-1)).view(B, C, chunk, H, P).transpose(2, 3)  # [B, C, H, L, p], times dt
    weights = (c @ b.mT).unsqueeze(2) * decays_between(sums)
    inside = weights.to(kind) @ x.to(kind)
    left = (x * (sums[..., -1:] - sums).exp().unsqueeze(-1)).to(kind)
    added = b.mT @ left.transpose(2, 3).flatten(3)  # [B, C, N, H p]
    # The state before chunk c: what chunks before it left, decayed by those between.
    total = F.pad(running_sums(sums[..., -1].transpose(1, 2)), (1, 0))  # [B, H, C + 1]
    passed = F.pad(decays_between(total[..., 1:]), (0, 0, 1, -1)).to(kind)  # [B, H, C, C], j < i
    shape = added.unflatten(-1, (H, P)).permute(0, 3, 1, 2, 4)  # [B, H, C, N, p]
    before = (passed @ shape.flatten(3).to(kind)).view(shape.shape)
    carried = (c @ before.permute(0, 2, 3, 1, 4).flatten(3)).unflatten(-1, (H, P))  # [B, C, L, H, p]
    y = inside + carried.transpose(2, 3) * sums.exp().unsqueeze(-1)
    return y.to(kind).transpose(2, 3).reshape(B, T, H, P)


def mlstm(q, k, v, gate, forget, chunk):
    """q and k [B, T, H, K], v [B, T, H, V], gates [B, T, H] before exp and sigmoid -> h like v."""
    B, T, H, V = v.shape
    C, kind = T // chunk, v.dtype
    q, k, v = (t.reshape(B, C, chunk, H, -1).transpose(2, 3) for t in (q, k, v))  # [B, C, H, L, ..]
    sums = running_sums(F.logsigmoid(forget).view(B, C, chunk, H).transpose(2, 3))
    source = gate.view(B, C, chunk, H).transpose(2, 3) - sums
    total = running_sums(sums[..., -1].mT).mT  # [B, C, H]
    start = total - sums[..., -1]
    with torch.no_grad():  # h does not depend on m
        inside = running_maxima(source)
        seen = running_maxima((inside[..., -1] - start).mT).mT.clamp_min(0)
        before = start + F.pad(seen, (0, 0, 1, -1))  # m before each chunk
        after = total + seen
        largest = torch.maximum(before.unsqueeze(-1), inside)  # [B, C, H, L]
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=v.device).triu(1)
    weights = (q @ k.mT) * (source.unsqueeze(-2) - largest.unsqueeze(-1)).masked_fill(later, -torch.inf).exp()
    keys = k * (source + sums[..., -1:] - after.unsqueeze(-1)).exp().unsqueeze(-1)
    added = keys.to(kind).mT @ v  # [B, C, H, K, V]
    # The memory before chunk c from those that chunks before it left, each times exp(-m) of its own.
    log = (start - before).unsqueeze(2) - (total - after).unsqueeze(1)  # [B, C, C, H]
    not_before = torch.ones(C, C, dtype=torch.bool, device=v.device).triu()
    passed = log.masked_fill(not_before.unsqueeze(-1), -torch.inf).exp().permute(0, 3, 1, 2).to(kind)  # [B, H, C, C]
    memory = (passed @ added.transpose(1, 2).flatten(3)).view(B, H, C, *added.shape[3:]).transpose(1, 2)
    norm = (passed @ keys.sum(3).transpose(1, 2).to(kind)).transpose(1, 2)  # [B, C, H, K]
    factor = (before.unsqueeze(-1) - largest).exp()
    y = weights.to(kind) @ v + (q @ memory) * factor.unsqueeze(-1)
    bottom = weights.sum(-1) + (q * norm.unsqueeze(-2)).sum(-1) * factor
    floor = (-(largest + sums)).exp().clamp_min(1e-30)
    return (y / torch.maximum(bottom.abs(), floor).unsqueeze(-1)).to(kind).transpose(2, 3).reshape(B, T, H, V)


class Mamba2(nn.Module):
    def __init__(self, job):
        super().__init__()
        width, self.heads, self.chunk = job["width"], job["heads"], job["chunk"]
        self.inner = EXPAND * width
        mixed = self.inner + 2 * STATE
        self.into = nn.Linear(width, self.inner + mixed + self.heads, bias=False)
        self.out = nn.Linear(self.inner, width, bias=False)
        self.filter, self.filter_bias = nn.Parameter(torch.empty(mixed, FILTER)), nn.Parameter(torch.empty(mixed))
        self.a_log, self.dt_bias, self.skip = (nn.Parameter(torch.empty(self.heads)) for _ in range(3))

    def draw(self):
        nn.init.uniform_(self.filter, -0.5, 0.5)
        nn.init.uniform_(self.filter_bias, -0.5, 0.5)
        nn.init.uniform_(self.a_log, 0.0, 2.5)
        nn.init.uniform_(self.dt_bias, -6.0, -2.5)
        nn.init.ones_(self.skip)

    def forward(self, x):
        B, T, _ = x.shape
        z, mixed, dt = self.into(x).split((self.inner, self.inner + 2 * STATE, self.heads), -1)
        # Four shifted products fuse with what stands around them; a depthwise conv1d would not.
        padded = F.pad(mixed, (0, 0, FILTER - 1, 0))
        taps = [padded[:, i:i + T].float() * self.filter[:, i].float() for i in range(FILTER)]
        mixed = F.silu(sum(taps) + self.filter_bias.float()).to(x.dtype)
        x, b, c = mixed.split((self.inner, STATE, STATE), -1)
        x = x.view(B, T, self.heads, -1)
        y = ssd(x, F.softplus(dt.float() + self.dt_bias.float()), -self.a_log.float().exp(), b, c, self.chunk)
        y = (y + x * self.skip.to(x.dtype).unsqueeze(-1)).flatten(2) * F.silu(z)
        return self.out(F.rms_norm(y, (self.inner,), eps=1e-5))


class Mlstm(nn.Module):
    def __init__(self, job):
        super().__init__()
        width, self.heads, self.chunk = job["width"], job["heads"], job["chunk"]
        self.width = width
        self.into = nn.Linear(width, 3 * width, bias=False)  # q, k, v and the output gate
        self.gates = nn.Linear(width, 2 * self.heads, bias=False)
        self.gate_bias = nn.Parameter(torch.empty(2 * self.heads))
        self.out = nn.Linear(width, width, bias=False)

    def draw(self):
        nn.init.zeros_(self.gates.weight)
        with torch.no_grad():
            self.gate_bias.copy_(torch.cat((torch.full((self.heads,), -10.0), torch.linspace(3, 6, self.heads))))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v, o = self.into(x).split((D // 2, D // 2, D, D), -1)
        gates = 15 * torch.tanh((self.gates(x).float() + self.gate_bias.float()) / 15)
        gate, forget = gates.split(self.heads, -1)
        q, k, v = (t.view(B, T, self.heads, -1) for t in (q, k, v))
        h = mlstm(q * q.shape[-1] ** -0.5, k, v, gate, forget, self.chunk)
        h = F.layer_norm(h, (h.shape[-1],), eps=1e-6).flatten(2)
        return self.out(torch.sigmoid(o) * h)


MIXERS = {"mamba2": Mamba2, "mlstm-large": Mlstm}


def time_mixer(run, job):
    x = torch.randn(job["batch"], job["context"], job["width"], device=job["device"], dtype=torch.bfloat16)
    x.requires_grad_()
    for i in range(15):
        if i == 5:
            torch.cuda.synchronize()
            began = time.perf_counter()
        with torch.autocast(job["device"], torch.bfloat16, cache_enabled=False):
            y = run(x)
        y.backward(torch.ones_like(y))
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / 10


def fastest_chunk(job):
    """The length of a chunk with which the compiled mixer, forward and backward, takes the least time at this shape.
    Shorter ones move more: states between chunks weigh N p / L numbers a step, squares within them L."""
    seconds = {}
    for chunk in (length for length in (128, 256) if job["context"] % length == 0):
        torch.manual_seed(1)
        mixer = MIXERS[job["mixer"]]({**job, "chunk": chunk}).to(job["device"])
        for parameter in mixer.parameters():
            nn.init.normal_(parameter, std=0.02)
        mixer.draw()
        try:
            seconds[chunk] = time_mixer(torch.compile(mixer, dynamic=False), job)
        except Exception as error:  # another length may still compile
            print(f"rival: chunks of {chunk}: {error}", file=sys.stderr)
        torch._dynamo.reset()
    return min(seconds, key=seconds.get), seconds


def ssd_recurrent(x, dt, a, b, c):
    h, out = 0, []
    for t in range(x.shape[1]):
        h = (dt[:, t] * a).exp()[..., None, None] * h + (x[:, t] * dt[:, t, :, None])[..., None] * b[:, t, None, None]
        out.append((h @ c[:, t, None, :, None]).squeeze(-1))
    return torch.stack(out, 1)


def mlstm_recurrent(q, k, v, gate, forget):
    memory, norm, out = 0, 0, []
    for t in range(v.shape[1]):
        f, i = torch.sigmoid(forget[:, t])[..., None], gate[:, t].exp()[..., None]
        memory = f[..., None] * memory + (i * k[:, t])[..., None] * v[:, t][..., None, :]
        norm = f * norm + i * k[:, t]
        bottom = (norm * q[:, t]).sum(-1, keepdim=True).abs().clamp_min(1)
        out.append((q[:, t][..., None, :] @ memory).squeeze(-2) / bottom)
    return torch.stack(out, 1)


def check():
    torch.manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    x, b, c = draw(2, 48, 3, 8), draw(2, 48, 16), draw(2, 48, 16)
    dt, a = (draw(2, 48, 3) - 2).exp(), -draw(3).exp()
    q, k, v = draw(2, 48, 3, 8) / 3, draw(2, 48, 3, 8), draw(2, 48, 3, 16)
    gate, forget = draw(2, 48, 3), draw(2, 48, 3) + 3
    for name, chunked, plain, inputs in (("ssd", ssd, ssd_recurrent, (x, dt, a, b, c)),
                                         ("mlstm", mlstm, mlstm_recurrent, (q, k, v, gate, forget))):
        leaves = [t.clone().requires_grad_() for t in inputs]
        want = plain(*leaves)
        got = chunked(*leaves, 16)
        up = torch.randn_like(want)
        pairs = [(got, want), *zip(torch.autograd.grad(got, leaves, up), torch.autograd.grad(want, leaves, up))]
        print(name, *(f"{((g - w).abs().max() / w.abs().max()).item():.1e}" for g, w in pairs))


if __name__ == "__main__":
    check()
