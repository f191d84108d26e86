"""Byte-level BPE tokenizers and what they make of texts, by `tokenizers` 0.23.3.

Writes tests/golden/tokenizers/{gpt2,llama3,qwen}.json, trained on docs/*.md, and expected.json. The splits are those of
GPT-2, Llama 3 and Qwen 2 and 3; special tokens stand in the vocabulary and in no text.
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEXTS = [
    "", " ", "  ", "\n", "a", " a", "It's we'll THEY'RE I'M you'd he'S 'tis", "The rung of a ladder, 3.14159 and 20261125.",
    "tabs\there\t\tand   spaces   before\n\n\nlines  \n  indented\r\nreturn\r", "x\x0by\x85z\u00a0n\u2003m \u3000w \u180ev",
    "caf\u00e9 na\u00efve \u00dcber \u017ft\u017f's", "\u4f60\u597d\uff0c\u4e16\u754c\u3002 \u3053\u3093\u306b\u3061\u306f",
    "\u0645\u0631\u062d\u0628\u0627 \u0661\u0662\u0663\u0664 \u00bd \u2167 \u00b2",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f!!! ???\n", "{\"key\": [1, 2, 3], 'a_b': -1e-5}  // #$%^&*()",
    "if (x) {\n    return y;\n}\n\n\n    // end   ", "trailing spaces   ", "\n \n \n", "word" * 40 + " " * 30 + "1234567890" * 5,
    "loss scaling law law law learning rate the the the training tokens <tag> more", "a\u0000b\u0001c",
]


def build(name):
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    if name == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(LLAMA3 if name == "llama3" else QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    if name == "qwen":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    end = {"gpt2": "<|endoftext|>", "llama3": "<|end_of_text|>", "qwen": "<|endoftext|>"}[name]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=[end], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train(sorted(map(str, (HERE.parent.parent / "docs").glob("*.md"))), trainer)
    if name == "qwen":
        tokenizer.add_tokens([AddedToken("<tag>", normalized=False)])
    return tokenizer


expected = {"texts": TEXTS}
(HERE / "tokenizers").mkdir(exist_ok=True)
for name in ("gpt2", "llama3", "qwen"):
    tokenizer = build(name)
    tokenizer.save(str(HERE / "tokenizers" / f"{name}.json"), pretty=False)
    expected[name] = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
(HERE / "tokenizers" / "expected.json").write_text(json.dumps(expected) + "\n")
