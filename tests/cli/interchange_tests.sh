#!/bin/bash
# Presets, and runs from and to Hugging Face folders, on the real program.
# Usage: interchange_tests.sh RUNG GOLDEN (tests/golden)
rung=$1 golden=$2
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_sentences text.txt 40
tiny=(--data text.txt --set model.width=16 model.depth=2 model.context=32 train.batch_tokens=512
  train.tokens=8192 train.eval_tokens=1024 data.held_out=0.2 --threads 2 --quiet)

# near A B [MOST MEDIAN]: two files' `logits`, the largest and the median difference over the mean size.
near() {
  checks=$((checks + 1))
  python3 - "$@" <<'PYTHON' || { failures=$((failures + 1)); echo "FAILED: logits $*"; }
import array, json, struct, sys
def logits(path):
    data = open(path, 'rb').read()
    size = struct.unpack('<Q', data[:8])[0]
    begin, end = json.loads(data[8:8 + size])['logits']['data_offsets']
    return array.array('f', data[8 + size + begin:8 + size + end])
a, b = logits(sys.argv[1]), logits(sys.argv[2])
mean = sum(map(abs, b)) / len(b)
gaps = sorted(abs(x - y) / mean for x, y in zip(a, b))
most, median = map(float, sys.argv[3:5] or (1e-4, 1e-5))
sys.exit(0 if len(a) == len(b) and gaps[-1] < most and gaps[len(gaps) // 2] < median else 1)
PYTHON
}

expect 0 . '' "$rung" presets --json
json "[p['name'] for p in d['presets']][:2]==['gpt2','llama']"
expect 2 '' 'Did you mean gemma2' "$rung" train "${tiny[@]}" --set preset=gema2 --out bad
expect 0 . '' "$rung" train "${tiny[@]}" --set preset=gemma2 model.window=9 --out gemma --json
json "d['members'][0]['status']=='ok' and 'windows = \"local, global\"' in text('gemma/config.toml')"
expect 0 . '' "$rung" generate gemma --prompt the --tokens 40 --temperature 0 --quiet

# In, out and in again, without a tokenizer: token ids only.
expected=$golden/interchange/gemma3/expected.safetensors
expect 0 'gemma3_text: ' '' "$rung" import "$golden/interchange/gemma3" --out in --quiet
expect 0 . '' "$rung" logits in --tokens "$expected" --out in.safetensors --quiet
near in.safetensors "$expected"
expect 0 . '' "$rung" export in --out folder --json
json "d['family']=='gemma3_text' and d['vocabulary']==37 and load('folder/config.json')['sliding_window']==7"
expect 0 . '' "$rung" import folder --out again --quiet
expect 0 . '' "$rung" logits again --tokens "$expected" --out again.safetensors --quiet
expect 0 '' '' cmp in.safetensors again.safetensors
expect 1 '' 'takes token ids' "$rung" generate in --prompt the
expect 1 '' 'takes token ids. For texts put its tokenizer.json or tokenizer.model' "$rung" eval in --data text.txt
expect 1 '' 'came without text' "$rung" eval in
expect 1 '' 'holds a run already' "$rung" import folder --out in
expect 1 '' 'holds a model already' "$rung" export in --out folder
expect 1 '' 'no config.json' "$rung" import text.txt --out bad
python3 -c "
import json
c = json.load(open('folder/config.json'))
c['attention_sinks'] = 4
json.dump(c, open('folder/config.json', 'w'))"
expect 1 '' 'attention_sinks is not known. Received 4' "$rung" import folder --out bad
expect 2 '' '--out is missing' "$rung" export in
expect 0 . '' "$rung" train "${tiny[@]}" --set model.key_offset=true --out offset
expect 1 '' 'differs in model.key_offset' "$rung" export offset --out bad_folder

# Ternary maps, in full precision and in 2 bits a weight; the bounds leave room for inputs that round the other way.
expect 0 . '' "$rung" train "${tiny[@]}" --set preset=bitnet-2b4t parametrisation=mup --out bit
expect 0 . '' "$rung" export bit --out bit_full --json
json "d['family']=='bitnet' and load('bit_full/config.json')['quantization_config']['quantization_mode']=='online'"
expect 0 . '' "$rung" export bit --packed --out bit_packed --json
json "load('bit_packed/config.json')['quantization_config']['quantization_mode']=='offline'"
json "os.path.getsize('bit_packed/model.safetensors') < 0.75 * os.path.getsize('bit_full/model.safetensors')"
expect 0 . '' "$rung" import bit_packed --out bit_back --quiet
for run in bit bit_back; do
  expect 0 . '' "$rung" logits $run --tokens "$expected" --out $run.safetensors --quiet
done
near bit.safetensors bit_back.safetensors 0.1 0.01
expect 1 '' 'Packed maps are ternary' "$rung" export in --packed --out bad_folder

# Runs with multipliers and a tokenizer: the loss of a text is the same after a way out and in.
for kind in bytes bpe "$golden/tokenizers/gpt2.json"; do
  rm -rf own hf back
  expect 0 . '' "$rung" train "${tiny[@]}" --set "data.tokenizer=$kind" data.vocabulary=300 --out own --json
  expect 0 . '' "$rung" eval own --data text.txt --json --quiet
  cp out own.json
  expect 0 . '' "$rung" export own --out hf --json
  json "d['family']=='llama' and d['tokenizer'].startswith('tokenizer.') and os.path.exists('hf/tokenizer_config.json')"
  cp out out_hf.json
  expect 0 . '' "$rung" import hf --out back --json
  json "d['tokenizer']==('bytes' if '$kind'=='bytes' else load('out_hf.json')['tokenizer'])"
  expect 0 . '' "$rung" eval back --data text.txt --held-out 0.2 --tokens 1024 --json --quiet
  json "abs(d['loss']-load('own.json')['loss']) < 1e-4 and d['held_out_sha256']==load('own.json')['held_out_sha256']"
  expect 0 . '' "$rung" generate own --prompt 'the rate' --tokens 12 --temperature 0 --json --quiet
  cp out own_text.json
  expect 0 . '' "$rung" generate back --prompt 'the rate' --tokens 12 --temperature 0 --json --quiet
  json "d['text']==load('own_text.json')['text']"
done
# Tokens of a synthetic language are no bytes.
expect 0 . '' "$rung" train --data synthetic:vocabulary=256 "${tiny[@]:2}" --out language
expect 0 'tokenizer none;' '' "$rung" export language --out language_hf --quiet
check "a tokenizer of nothing" [ ! -e language_hf/tokenizer.json ]
# A tokenizer of another kind, or of another size, does not keep a model from coming in.
python3 -c "
import json
t = json.load(open('hf/tokenizer.json'))
t['model']['type'] = 'Unigram'
json.dump(t, open('hf/tokenizer.json', 'w'))"
expect 0 'Unigram' '' "$rung" import hf --out kind --quiet
expect 1 '' 'the model Unigram' "$rung" generate kind --prompt the
cp "$golden/tokenizers/qwen.json" again_tokenizer.json
expect 0 . '' "$rung" export again --out sized --quiet
cp again_tokenizer.json sized/tokenizer.json
expect 0 'has 421 tokens, the model 37' '' "$rung" import sized --out size --quiet
expect 0 . '' "$rung" logits size --tokens "$expected" --out size.safetensors --quiet
checks=$((checks + 1))
[ ! -e bad ] || { failures=$((failures + 1)); echo "FAILED: bad input left a folder"; }

echo "$checks checks, $failures failures"
[ $failures = 0 ]
