# A scratch folder of a test's own, with a cache of its own, as the current one; sourced by tests that train. Brings expect.sh.
work=$(mktemp -d)
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
unset RUNG_CACHE
cd "$work" || exit 1
