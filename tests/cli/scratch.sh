# A scratch folder of a test's own, with a cache of its own, as the current one; sourced by tests that train. Brings expect.sh.
work=$(mktemp -d)
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
