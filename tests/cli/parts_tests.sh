#!/bin/bash
# Mixers, ffns and ternary maps on the real program: they train and generate, and their caches say what whole sequences say.
# Usage: parts_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_text text.txt

# Greedy text with a cache is what the whole sequence's logits say; a recurrent model goes on beyond the context.
for mixer in model.mixer=mamba2 model.mixer=mlgru "model.pattern=mamba2, attention" "model.pattern=mlstm, slstm" "model.ffn_pattern=none, swiglu" "model.ffn_pattern=moe, peer"; do
  rm -rf mixed
  expect 0 . '' "$rung" train "${tiny[@]}" --set "$mixer" --out mixed --json
  json "d['loss'] < 4.5 and d['members'][0]['status']=='ok'"
  expect 0 . '' "$rung" generate mixed --prompt abcabc --tokens 40 --temperature 0 --json --quiet
  json "d['tokens']==40"
  cp out greedy.json
  python3 - <<'PYTHON'
import json, struct
text = list(('abcabc' + json.load(open('greedy.json'))['text']).encode())[:32]
data = struct.pack('<32q', *text)
head = json.dumps({'tokens': {'dtype': 'I64', 'shape': [1, 32], 'data_offsets': [0, len(data)]}}).encode()
head += b' ' * (-len(head) % 8)
open('greedy.safetensors', 'wb').write(struct.pack('<Q', len(head)) + head + data)
PYTHON
  expect 0 . '' "$rung" logits mixed --tokens greedy.safetensors --out greedy_logits.safetensors --quiet
  python3 - <<'PYTHON' && checks=$((checks + 1)) || { failures=$((failures + 1)); echo "FAILED: greedy text of $mixer"; }
import json, struct, sys
def read(path, code):
    raw = open(path, 'rb').read()
    size = struct.unpack('<Q', raw[:8])[0]
    return struct.unpack('<%d%s' % ((len(raw) - 8 - size) // struct.calcsize(code), code), raw[8 + size:])
tokens, logits = read('greedy.safetensors', 'q'), read('greedy_logits.safetensors', 'f')
width = len(logits) // 32
rows = [logits[i * width:(i + 1) * width] for i in range(32)]
sys.exit(0 if all(rows[i].index(max(rows[i])) == tokens[i + 1] for i in range(5, 31)) else 1)
PYTHON
done
# The last run above had a mixture and a retrieval: their use of experts stands in the log; generation, resumption and counts hold.
python3 - <<'PYTHON' && checks=$((checks + 1)) || { failures=$((failures + 1)); echo "FAILED: parts in the log"; }
import json, sys
parts = [json.loads(line) for line in open('mixed/log.jsonl') if '"eval"' in line][-1]['parts']
sys.exit(0 if 0.3 < parts['0.experts_used'][0] <= 1 and 0.9 < parts['0.balance_loss'][0] < 8 and 0 < parts['1.experts_used'][0] <= 1
         and parts['1.experts_unevenness'][0] > 0 else 1)
PYTHON
expect 0 . '' "$rung" eval mixed --data text.txt --json --quiet
# Ternary maps: they train and generate; transformers has no such folder.
for preset in bitnet matmulfree; do
  rm -rf ternary
  expect 0 . '' "$rung" train "${tiny[@]}" --set preset=$preset --out ternary --json
  json "d['loss'] < 4.5 and d['members'][0]['status']=='ok'"
  expect 0 . '' "$rung" generate ternary --prompt abc --tokens 40 --temperature 0 --json --quiet
  json "d['tokens']==40"
done
expect 1 '' 'model.linear' "$rung" export ternary --out folder

echo "$checks checks, $failures failures"
[ $failures = 0 ]
