"""Tiny random models of Hugging Face families with their logits, and the check of exports against transformers.

    make_interchange_golden.py make [NAME...]  writes tests/golden/interchange/NAME/ (transformers 5.24.0, torch 2.11.0)
    make_interchange_golden.py check RUNG      runs RUNG import and export on them and on runs that it trains, loads what
                                               was exported in transformers, and compares logits and tokens

Weights are drawn far from any initialisation: matrices N(0, 2 / fan_in), gains 1 + N(0, 0.3^2), biases N(0, 0.3^2).
Differences are relative to mean |logit|; the bounds are 1e-4 for the largest and 1e-5 for the median.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # BitNet's quantisers as they are written
import sentencepiece
import torch
import transformers
from safetensors.torch import load_file, save_file

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
HERE = pathlib.Path(__file__).parent / "interchange"
SHARED = dict(vocab_size=37, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=32, bos_token_id=None, eos_token_id=None,
              pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
# Sizes that its cache would round up to 64, so that it is used without one; kernels in fp32.
XLSTM = dict(vocab_size=37, hidden_size=16, num_hidden_layers=2, num_heads=2, ffn_round_up_to_multiple_of=8,
             autocast_kernel_dtype="float32", bos_token_id=None, eos_token_id=None, pad_token_id=None)
BITNET = dict(rope_parameters=dict(rope_type="default", rope_theta=500.0))

CASES = {
    "llama": transformers.LlamaConfig(**SHARED, rope_parameters=LLAMA3, rms_norm_eps=1e-5),
    "llama-tied": transformers.LlamaConfig(**SHARED, head_dim=6, tie_word_embeddings=True, attention_bias=True,
                                           mlp_bias=True, rope_parameters=dict(rope_type="linear", factor=2.0,
                                                                               rope_theta=10000.0)),
    "mistral": transformers.MistralConfig(**SHARED, sliding_window=5),
    "qwen2": transformers.Qwen2Config(**SHARED, use_sliding_window=True, sliding_window=6, max_window_layers=1),
    "qwen3": transformers.Qwen3Config(**SHARED, head_dim=6, rope_parameters=dict(rope_type="default",
                                                                                 rope_theta=1e6)),
    "olmo2": transformers.Olmo2Config(**SHARED),
    "gpt2": transformers.GPT2Config(vocab_size=37, n_embd=16, n_layer=2, n_head=4, n_positions=32, bos_token_id=None,
                                    eos_token_id=None),
    "gemma": transformers.GemmaConfig(**SHARED, head_dim=6),
    "gemma2": transformers.Gemma2Config(**SHARED, head_dim=6, sliding_window=7, query_pre_attn_scalar=9,
                                        attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "gemma3": transformers.Gemma3TextConfig(**{**SHARED, "num_hidden_layers": 4}, head_dim=6, sliding_window=7,
                                            query_pre_attn_scalar=5,
                                            layer_types=["sliding_attention"] * 2 + ["full_attention"]
                                            + ["sliding_attention"],
                                            rope_parameters=dict(
                                                sliding_attention=dict(rope_type="default", rope_theta=100.0),
                                                full_attention=dict(rope_type="linear", factor=8.0,
                                                                    rope_theta=10000.0))),
    "mixtral": transformers.MixtralConfig(**{**SHARED, "intermediate_size": 12}, num_local_experts=4,
                                          num_experts_per_tok=2),
    "mamba2": transformers.Mamba2Config(vocab_size=37, hidden_size=16, num_hidden_layers=2, state_size=6, head_dim=8,
                                        num_heads=4, n_groups=1, chunk_size=8, bos_token_id=None, eos_token_id=None,
                                        pad_token_id=None),
    "xlstm": transformers.xLSTMConfig(**XLSTM, chunk_size=8, ffn_proj_factor=1.4),
    "xlstm-fused": transformers.xLSTMConfig(**XLSTM, weight_mode="fused", ffn_proj_factor=1.6, norm_eps=1e-6),
    "bitnet": transformers.BitNetConfig(**SHARED, **BITNET, attention_bias=True),
}
# Ternary maps: linear_class and quantization_mode, and what the model adds.
QUANTISED = {
    "bitnet-online": ("autobitlinear", "online", dict(tie_word_embeddings=True)),
    "bitnet-packed": ("autobitlinear", "offline", dict()),
    "bitnet-bitlinear": ("bitlinear", "offline", dict(attention_bias=True, hidden_act="silu")),
}

# Weights are drawn here, and its own start fails where maps are fused.
transformers.models.xlstm.modeling_xlstm.xLSTMPreTrainedModel._init_weights = lambda self, module: None

# Where the draw by position in the table has a token at which fp32 itself is 8e-5 from fp64 (a normaliser near 0).
SEEDS = {"xlstm-fused": 100}


def logits_of(model, tokens):
    with torch.no_grad():
        return model(tokens, use_cache=False).logits.float()


def draw(model, gemma):
    for name, p in model.named_parameters():
        noise = torch.randn_like(p)
        if p.dim() > 1 and "embed" not in name and "wte" not in name and "wpe" not in name:
            fan_in = p.shape[0] if "c_" in name else p.shape[-1]
            p.data = noise * (2 / fan_in) ** 0.5
        elif p.dim() > 1:
            p.data = noise * 0.5
        else:
            gain = name.endswith("weight")
            p.data = noise * 0.3 + (1.0 if gain and not gemma else 0.0)


def make(names):
    for seed, (name, config) in enumerate(CASES.items()):
        if names and name not in names:
            continue
        torch.manual_seed(SEEDS.get(name, seed))
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        draw(model, "gemma" in name)
        if name == "mistral":  # a file in half precision holds exactly what is computed with
            for p in model.parameters():
                p.data = p.data.bfloat16().float()
        tokens = torch.randint(0, 37, (2, 24))
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        logits = logits_of(model, tokens)
        if name == "mistral":
            model = model.bfloat16()
        model.save_pretrained(folder, max_shard_size="9KB" if name == "llama" else "5GB")
        (folder / "generation_config.json").unlink(missing_ok=True)
        save_file({"tokens": tokens, "logits": logits}, folder / "expected.safetensors")
        print(name, f"mean |logit| {logits.abs().mean():.3f}", sorted(f.name for f in folder.iterdir()))


def coded(state, kind):
    """The maps of a state as codes of 2 bits, with the scale that multiplies or divides."""
    from transformers.integrations.bitnet import pack_weights
    result = {name: w.clone() for name, w in state.items() if not name.endswith("_proj.weight")}
    for name in state.keys() - result.keys():
        w, size = state[name], state[name].abs().mean()
        result[name] = pack_weights((w / size).round().clamp(-1, 1))
        result[name + "_scale"] = (size if kind == "autobitlinear" else 1 / size).reshape(1)
    return result


def margin(model, tokens):
    """How far any input of a ternary map is from where its rounding to 8 bits turns."""
    gaps, hooks = [], []
    for module in model.modules():
        if type(module).__name__ in ("BitLinear", "AutoBitLinear"):
            def note(_, inputs):
                codes = inputs[0] * (127 / inputs[0].abs().amax(-1, keepdim=True))
                gaps.append((codes - codes.floor() - 0.5).abs().min().item())
            hooks.append(module.register_forward_pre_hook(note))
    logits_of(model, tokens)
    for hook in hooks:
        hook.remove()
    return min(gaps)


def make_quantised(names):
    """Rounding is no continuous function: of draws, the first whose inputs all keep 3e-4 of a code from its steps."""
    for name, (kind, mode, more) in QUANTISED.items():
        if names and name not in names:
            continue
        config = transformers.BitNetConfig(**{**SHARED, **BITNET, **more})
        config._attn_implementation = "eager"
        folder = HERE / name
        for seed in range(100):
            torch.manual_seed(seed)
            model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
            draw(model, False)
            state = model.state_dict()
            if more.get("tie_word_embeddings"):
                del state["lm_head.weight"]
            if mode == "offline":
                state = coded(state, kind)
            tokens = torch.randint(0, 37, (1, 12))
            folder.mkdir(exist_ok=True)
            save_file(state, folder / "model.safetensors", {"format": "pt"})
            fields = {**config.to_diff_dict(), "architectures": ["BitNetForCausalLM"], "quantization_config": dict(
                quant_method="bitnet", linear_class=kind, quantization_mode=mode)}
            (folder / "config.json").write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")
            loaded = in_transformers(folder)
            if margin(loaded, tokens) > 3e-4:
                break
        logits = logits_of(loaded, tokens)
        save_file({"tokens": tokens, "logits": logits}, folder / "expected.safetensors")
        print(name, f"seed {seed}, mean |logit| {logits.abs().mean():.3f}", sorted(f.name for f in folder.iterdir()))


def difference(a, b):
    d = (a - b).abs() / b.abs().mean()
    return d.max().item(), d.median().item()


def in_transformers(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                             attn_implementation="eager").eval()


failed = []


def report(name, what, a, b):
    most, median = difference(a, b)
    verdict = "" if most < 1e-4 and median < 1e-5 else "  TOO FAR"
    if verdict:
        failed.append(name)
    print(f"{name:22} {what:34} max {most:.1e} median {median:.1e}{verdict}", flush=True)


# Runs that Rung trains: presets, and rules with multipliers that have to be folded.
RUNS = {
    "umup": ["train.lr=0.5"],
    "umup-multipliers": ["train.lr=0.25", "multipliers.alpha_attn=1.3", "multipliers.alpha_ffn=0.7",
                         "multipliers.alpha_res=0.8", "multipliers.alpha_ratio=1.4", "multipliers.alpha_loss=1.2",
                         "multipliers.alpha_emb=0.9", "model.tied=true", "model.ffn=geglu"],
    "mup": ["parametrisation=mup", "base_width=16", "train.lr=0.01", "model.kv_heads=1"],
    "moe": ["model.ffn=moe", "model.moe_experts=4", "train.lr=0.25"],
    "completep": ["parametrisation=completep", "base_width=16", "base_depth=2", "train.lr=0.01", "model.depth=3"],
    "mus-after": ["parametrisation=mus", "model.norm_place=after", "train.lr=0.05", "model.qk_norm=true",
                  "model.qk_norm_over=width"],
    **{preset: [f"preset={preset}", "parametrisation=mup", "base_width=16", "train.lr=0.01", "model.window=9"
                if "gemma" in preset and preset != "gemma1" else "seed=2"]
       for preset in ("xlstm", "gpt2", "llama", "qwen3", "olmo2", "gemma1", "gemma2", "gemma3")},
}


def check(rung):
    def call(*words):
        subprocess.run([rung, *map(str, words), "--quiet"], check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in [*CASES, *QUANTISED]:
            expected = load_file(HERE / name / "expected.safetensors")
            run, out = root / f"run-{name}", root / f"hf-{name}"
            call("import", HERE / name, "--out", run)
            call("logits", run, "--tokens", HERE / name / "expected.safetensors", "--out", root / "l.safetensors")
            report(name, "imported", load_file(root / "l.safetensors")["logits"], expected["logits"])
            call("export", run, "--out", out)
            report(name, "exported, in transformers", logits_of(in_transformers(out), expected["tokens"]),
                   expected["logits"])
            if name in QUANTISED:
                call("export", run, "--packed", "--out", root / f"packed-{name}")
                report(name, "packed, in transformers",
                       logits_of(in_transformers(root / f"packed-{name}"), expected["tokens"]), expected["logits"])
        tokens = torch.randint(0, 256, (2, 24))
        save_file({"tokens": tokens}, root / "t.safetensors")
        for name, settings in RUNS.items():
            run, out = root / f"trained-{name}", root / f"hf-trained-{name}"
            sets = [word for setting in settings for word in ("--set", setting)]
            call("train", "--set", "model.width=32", "--set", "model.depth=2", "--set", "model.context=32", "--set",
                 "train.tokens=40960", "--set", "train.batch_tokens=2048", *sets, "--out", run)
            call("export", run, "--out", out)
            call("logits", run, "--tokens", root / "t.safetensors", "--out", root / "l.safetensors")
            kind = json.loads((out / "config.json").read_text())["model_type"]
            report(name, f"trained, exported as {kind}", load_file(root / "l.safetensors")["logits"],
                   logits_of(in_transformers(out), tokens))
        check_ternary(call, root)
        check_tokenizer(call, root)
    sys.exit(1 if failed else 0)


def check_ternary(call, root):
    """Trained ternary runs, on the first tokens drawn that keep inputs away from where their rounding turns."""
    for rule in ("mup", "umup"):
        run = root / f"ternary-{rule}"
        call("train", "--set", "preset=bitnet-2b4t", f"parametrisation={rule}", "base_width=16", "model.width=32",
             "model.depth=2", "model.context=32", "train.tokens=40960", "train.batch_tokens=2048",
             "train.lr=0.01" if rule == "mup" else "train.lr=0.5", "--out", run)
        for words in ([], ["--packed"]):
            out = root / f"hf-ternary-{rule}{''.join(words)}"
            call("export", run, *words, "--out", out)
            model = in_transformers(out)
            for seed in range(400):
                tokens = torch.randint(0, 256, (1, 8), generator=torch.Generator().manual_seed(seed))
                if margin(model, tokens) > 3e-4:
                    break
            save_file({"tokens": tokens}, root / "t8.safetensors")
            call("logits", run, "--tokens", root / "t8.safetensors", "--out", root / "l.safetensors")
            report(f"bitnet-2b4t {rule}", f"trained, exported {''.join(words)}",
                   load_file(root / "l.safetensors")["logits"], logits_of(model, tokens))


def check_tokenizer(call, root):
    """Folders of runs on SentencePiece and on bytes, read by transformers, spell texts as the runs do."""
    pieces = exported_tokenizer(call, root, "pieces", "data.tokenizer=bpe", "data.vocabulary=512")
    ours = sentencepiece.SentencePieceProcessor(model_file=str(root / "hf-pieces" / "tokenizer.model"))
    letters = exported_tokenizer(call, root, "bytes", "data.tokenizer=bytes")
    texts = ("The rate of a rung", " two  spaces ", "lines\n\n  and\ttabs", "na\u00efve \u4f60\u597d \U0001f600",
             "\u0100 e\u0301 \u0120")
    for name, theirs, spell in (("tokenizer.model", pieces, ours.encode),
                                ("bytes", letters, lambda text: list(text.encode()))):
        for text in texts:
            a, b = theirs(text, add_special_tokens=False)["input_ids"], spell(text)
            same = a == b and (name != "bytes" or theirs.decode(a) == text)
            if not same:
                failed.append(text)
            print(f"{name:22} {text!r:34} {'equal' if same else f'{a} {b}  DIFFERS'}")


def exported_tokenizer(call, root, name, *settings):
    """What transformers makes of the exported folder of a run with these settings."""
    run, out = root / name, root / f"hf-{name}"
    sets = [word for setting in settings for word in ("--set", setting)]
    call("train", *sets, "--set", "train.tokens=4096", "--set", "train.batch_tokens=2048", "--out", run)
    call("export", run, "--out", out)
    return transformers.AutoTokenizer.from_pretrained(out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(sys.argv[2:])
        make_quantised(sys.argv[2:])
    else:
        check(sys.argv[2])
