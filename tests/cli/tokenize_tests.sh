#!/bin/bash
# rung tokenize on the real program.
# Usage: tokenize_tests.sh RUNG
rung=$1
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
write_sentences text.txt 30
bpe=(--data text.txt --set data.tokenizer=bpe data.vocabulary=300)

expect 0 'bytes: [0-9]+ tokens of [0-9]+ documents' '' "$rung" tokenize --data text.txt --quiet
expect 0 . '' "$rung" tokenize "${bpe[@]}" --out made --json
json "d['vocabulary']==300 and d['bytes_per_token']>2 and d['documents']+d['held_out_documents']==30"
json "load('made/data.json')['tokens']==d['tokens'] and os.path.getsize('made/train.tokens')>=128+2*d['tokens']"
json "os.path.exists('made/held_out.tokens') and os.path.exists('made/tokenizer.model')"
expect 1 '' 'made is not empty' "$rung" tokenize "${bpe[@]}" --out made
# The tokenizer that came out spells as the one that was trained, without any text.
expect 0 . '' "$rung" tokenize "${bpe[@]}" --text 'the rate of 12 rungs' --json --quiet
cp out trained.json
json "''.join(d['pieces'])=='the rate of 12 rungs' and len(d['tokens'])==len(d['pieces'])"
expect 0 . '' "$rung" tokenize --data nowhere --set data.tokenizer=made/tokenizer.model --text 'the rate of 12 rungs' --json
json "d==load('trained.json')"
expect 0 '^104 105$' '' "$rung" tokenize --text hi --quiet
expect 0 . '' "$rung" tokenize --text 'é' --json
json "d['tokens']==[195,169] and d['pieces']==['\ufffd','\ufffd']"

# Tokens of a text are what rung logits reads, and generate's own.
expect 0 . '' "$rung" train "${bpe[@]}" --set model.width=16 model.depth=1 model.context=32 train.batch_tokens=512 \
  train.tokens=1024 train.eval_tokens=512 data.held_out=0.2 --out run --quiet
expect 0 . '' "$rung" tokenize "${bpe[@]}" data.held_out=0.2 --text 'the rate' --out in.safetensors --json
json "len(d['tokens'])>0"
expect 0 'logits \[1, [0-9]+, 300\]' '' "$rung" logits run --tokens in.safetensors --out out.safetensors --quiet
expect 2 '' 'text is empty' "$rung" tokenize --text ''
expect 2 '' 'no text to tokenize' "$rung" tokenize --data synthetic
expect 1 '' . "$rung" tokenize --data nowhere.txt
expect 2 '' 'One configuration at a time' "$rung" tokenize --set 'data.vocabulary=[300,400]'

echo "$checks checks, $failures failures"
[ $failures = 0 ]
