"""The same decoder in PyTorch on one GPU: what `rung bench` is measured against there.

    python3 bench/rival_gpu.py --serve      one JSON request a line on stdin, one JSON answer a line on stdout
    python3 bench/rival_gpu.py '{"width": 64, "heads": 4, "inner": 192, "vocabulary": 4096}'     one shape, by hand

Requests: {"do": "prepare", shape and "forms"} compiles every form, times each for `trial` seconds and keeps the
fastest; {"do": "round", "seconds": S} trains for about S seconds and answers {"tokens", "seconds", "rate", "loss"}.
What fails answers {"error": ...}.

A form is "WEIGHTS/LAUNCH". WEIGHTS: `copies` (bf16 matrices beside fp32 masters, everything in bf16) or `autocast`
(fp32 weights under torch.autocast). LAUNCH: `step` (the whole compiled step, clip and optimizer included, as one
CUDA graph), `trees` (torch.compile's own CUDA graphs, mode reduce-overhead), `compile` or `eager`.

Written as a careful user would: bf16 residual stream, fused QKV and gate-up matrices, flash or cuDNN attention by a
trial at this shape, F.cross_entropy, fused capturable AdamW, clip 1 without a synchronisation, tokens already on the
device, no host read in the loop. Its kernels may use atomics. Tokens follow Zipf's law, as Rung's do."""

import fcntl
import gc
import json
import math
import os
import sys
import time

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "8")  # several rivals may compile at once

import torch
import torch.nn.functional as F
from torch import nn

from rival_decoder import Decoder
from rival_mixers import fastest_chunk

DEFAULTS = {"width": 64, "depth": 4, "heads": 4, "inner": 192, "context": 256, "batch": 16, "vocabulary": 4096,
            "mixer": "attention", "forms": ["autocast/step", "copies/trees", "copies/step"], "trial": 0.3, "device": "cuda"}
WARM_UPS = 4  # reduce-overhead compiles, warms up and records before it replays
POOL = 16     # batches held on the device, used in turn


class Trainer:
    """One form of the training step over a static batch; `run()` does a step, `memory` is what it holds."""

    def __init__(self, job, form, tokens):
        self.job, self.tokens = job, tokens
        weights, self.launch = form.split("/")
        self.autocast = weights == "autocast"
        device = torch.device(job["device"])
        torch.manual_seed(1)
        with device:
            self.model = Decoder(job)
            self.batch = tokens[0].clone()
            self.loss = torch.zeros(())
        self.parameters = sum(p.numel() for p in self.model.parameters())
        # The embedding is gathered from its fp32 table, and gates read fp32; only the matrices have copies.
        matrices = [m for m in self.model.modules() if isinstance(m, nn.Linear)] if not self.autocast else []
        self.masters = [nn.Parameter(m.weight.detach().clone()) for m in matrices]
        for master, matrix in zip(self.masters, matrices):
            matrix.to(torch.bfloat16)
            master.grad = torch.empty_like(master)
        self.copies = [m.weight for m in matrices]
        copied = {id(copy) for copy in self.copies}
        optimized = self.masters + [p for p in self.model.parameters() if id(p) not in copied]
        cuda = device.type == "cuda"
        rate = torch.tensor(1e-3, device=device) if cuda else 1e-3  # a tensor, so that a schedule could change it
        self.optimizer = torch.optim.AdamW(optimized, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True,
                                           capturable=cuda)
        self.optimized = optimized
        mode = {"trees": {"mode": "reduce-overhead"}, "step": {}, "compile": {}}.get(self.launch)
        self.forward = self.model if mode is None else torch.compile(self.model, dynamic=False, **mode)

    def step(self):
        for parameter in self.model.parameters():
            parameter.grad = None
        with torch.autocast(self.job["device"], torch.bfloat16, enabled=self.autocast, cache_enabled=False):
            loss = self.forward(self.batch[:, :-1], self.batch[:, 1:])
        loss.backward()
        if self.masters:
            torch._foreach_copy_([m.grad for m in self.masters], [w.grad for w in self.copies])
        torch.nn.utils.clip_grad_norm_(self.optimized, 1.0, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            if self.masters:
                torch._foreach_copy_(self.copies, self.masters)
            self.loss.copy_(loss)

    def run(self):
        if self.launch == "trees":
            torch.compiler.cudagraph_mark_step_begin()
        self.step()

    def start(self):
        """Compiles, warms up and, for `step`, captures. Seconds that it took."""
        began = time.perf_counter()
        if self.launch != "step":
            for _ in range(WARM_UPS):
                self.run()
        else:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            for parameter in self.model.parameters():
                parameter.grad = None
            release_cache()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.step()
            self.run = graph.replay
            self.run()
        wait(self.job)
        seconds = time.perf_counter() - began
        release_cache()
        self.memory = torch.cuda.memory_reserved() if torch.cuda.is_available() else 0
        return seconds

    def time(self, steps):
        wait(self.job)
        began = time.perf_counter()
        for i in range(steps):
            self.batch.copy_(self.tokens[i % POOL])
            self.run()
        wait(self.job)
        return time.perf_counter() - began


def wait(job):
    if job["device"] == "cuda":
        torch.cuda.synchronize()


def release_cache():
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def zipf_tokens(job):
    """[POOL, batch, context + 1] tokens; token k about as often as 1 / (k + 2)."""
    u = torch.rand(POOL, job["batch"], job["context"] + 1, generator=torch.Generator().manual_seed(1),
                   dtype=torch.float64)
    top = math.log((job["vocabulary"] + 1) / 2)
    tokens = (2 * torch.exp(u * top) - 1).long().clamp_(max=job["vocabulary"] - 1)
    return tokens.to(job["device"])


def enable_attention(name):
    torch.backends.cuda.enable_flash_sdp(name == "flash")
    torch.backends.cuda.enable_cudnn_sdp(name == "cudnn")
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_math_sdp(False)


def time_attention(job):
    """Seconds of flash and cuDNN attention, forward and backward, at this shape; the faster first."""
    dim = job["width"] // job["heads"]
    seconds = {}
    for name in ("flash", "cudnn"):
        enable_attention(name)
        try:
            q, k, v, g = (torch.randn(job["batch"], job["context"], job["heads"], dim, device="cuda",
                                      dtype=torch.bfloat16).transpose(1, 2).requires_grad_() for _ in range(4))
            for i in range(15):
                if i == 5:
                    wait(job)
                    began = time.perf_counter()
                F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(g)
            wait(job)
            seconds[name] = (time.perf_counter() - began) / 10
        except Exception as error:  # a library that does not take the shape is no candidate
            print(f"rival: {name} attention: {error}", file=sys.stderr)
    q = k = v = g = None
    release_cache()
    return dict(sorted(seconds.items(), key=lambda item: item[1]))


class Rival:
    def __init__(self):
        self.trainer, self.step_seconds = None, 0.0

    def release(self):
        self.trainer = None
        torch._dynamo.reset()
        release_cache()

    def try_form(self, job, form, tokens):
        """Starts a form and times it for about job["trial"] seconds."""
        self.release()
        self.trainer = Trainer(job, form, tokens)
        started = self.trainer.start()
        with open(__file__) as lock:
            # Other shapes may be compiling; none is timed meanwhile, and of five trials the quietest counts.
            fcntl.flock(lock, fcntl.LOCK_EX)
            once = self.trainer.time(3) / 3
            steps = max(2, min(1000, round(job["trial"] / 5 / once)))
            self.step_seconds = min(self.trainer.time(steps) for _ in range(5)) / steps
        return {"form": form, "compile_seconds": started, "step_seconds": self.step_seconds,
                "memory": self.trainer.memory}

    def try_forms(self, job, tokens):
        results = []
        for form in job["forms"]:
            try:
                results.append(self.try_form(job, form, tokens))
            except Exception as error:  # another form may still work; the answer names what failed
                results.append({"form": form, "error": f"{type(error).__name__}: {error}"[:2000]})
        return results

    def prepare(self, request):
        job = {**DEFAULTS, **request}
        answer = {"torch": torch.__version__}
        tokens = zipf_tokens(job)
        if job["mixer"] != "attention":
            if "chunk" not in job:
                job["chunk"], answer["chunk_seconds"] = fastest_chunk(job)
            answer["chunk"] = job["chunk"]
            forms = self.try_forms(job, tokens)
        elif job["device"] != "cuda":
            forms = self.try_forms(job, tokens)
        else:
            answer["gpu"] = torch.cuda.get_device_name()
            answer["attention_seconds"] = time_attention(job)
            for name in answer["attention_seconds"]:
                answer["attention"] = name
                enable_attention(name)
                forms = self.try_forms(job, tokens)
                if any("error" not in f for f in forms):
                    break
        good = [f for f in forms if "error" not in f]
        if not good:
            raise RuntimeError("; ".join(f"{f['form']}: {f['error']}" for f in forms))
        best = min(good, key=lambda f: f["step_seconds"])
        if best is not forms[-1]:
            # A form tried earlier won: bring it back (its kernels are in the cache now).
            best = {**self.try_form(job, best["form"], tokens), "compile_seconds": best["compile_seconds"]}
        answer.update(best, forms=forms, parameters=self.trainer.parameters,
                      first_compile_seconds=good[0]["compile_seconds"])
        return answer

    def round(self, request):
        if self.trainer is None:
            raise RuntimeError("nothing is prepared")
        job = self.trainer.job
        self.trainer.time(max(1, round(0.2 * request["seconds"] / self.step_seconds)))  # wakes the clocks
        steps = max(3, round(request["seconds"] / self.step_seconds))
        seconds = self.trainer.time(steps)
        tokens = steps * job["batch"] * job["context"]
        loss = self.trainer.loss.item()
        return {"tokens": tokens, "seconds": seconds, "rate": tokens / seconds,
                "loss": loss if math.isfinite(loss) else None}

    def answer(self, request):
        try:
            return {"prepare": self.prepare, "round": self.round}[request.get("do")](request)
        except Exception as error:
            self.release()
            return {"error": f"{type(error).__name__}: {error}"[:2000]}


def main():
    if sys.argv[1:] == ["--serve"]:
        # Compilers and their workers may print, and outlive us: they get neither end of the conversation.
        requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        rival = Rival()
        for line in requests:
            print(json.dumps(rival.answer(json.loads(line))), file=answers, flush=True)
        return
    if len(sys.argv) != 2 or not sys.argv[1].startswith("{"):
        sys.exit(__doc__)
    rival = Rival()
    print(json.dumps(rival.answer({"do": "prepare", **json.loads(sys.argv[1])})))
    print(json.dumps(rival.answer({"do": "round", "seconds": 0.5})))


if __name__ == "__main__":
    main()
