# A scratch folder of a test's own, with a cache of its own, as the current one; sourced by tests that train. Brings expect.sh, and the
# repository as $root.
work=$(mktemp -d)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
unset RUNG_CACHE
cd "$work" || exit 1

# write_text FILE: a text with some structure, 80 documents of pseudo-random sentences.
write_text() {
  python3 - "$1" <<'PYTHON'
import random, sys
random.seed(1)
words = [''.join(random.choice('abcdefghij') for _ in range(random.randint(2, 6))) for _ in range(60)]
with open(sys.argv[1], 'w') as f:
    for document in range(80):
        f.write('# Document %d\n\n' % document)
        for _ in range(60):
            f.write(' '.join(random.choice(words[:20 + document % 3 * 20]) for _ in range(8)) + '.\n')
PYTHON
}
# write_sentences FILE N: N documents of N sentences in few words.
write_sentences() {
  python3 - "$@" <<'PYTHON'
import random, sys
random.seed(2)
words = 'the rate of a rung is what it learns 12 tokens'.split()
with open(sys.argv[1], 'w') as f:
    for document in range(int(sys.argv[2])):
        f.write('# Part %d\n\n' % document)
        for _ in range(int(sys.argv[2])):
            f.write(' '.join(random.choice(words) for _ in range(9)) + '.\n')
PYTHON
}
# A run of a second on write_text's text.txt; tests with a text of their own have their own.
tiny=(--data text.txt --set model.width=16 model.depth=2 model.context=32 train.batch_tokens=512
  train.tokens=20480 train.eval_tokens=2048 data.held_out=0.2 train.lr=0.5 --threads 2 --quiet)
