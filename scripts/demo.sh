#!/usr/bin/env bash
# demo.sh PULSELET: counts the words of a real text with three functions on a durable broker, and checks the result
# against the same work done by plain text tools. A difference of a single word fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

pulselet=$1
text=/usr/share/common-licenses/GPL-3
[ -r "$text" ] || text=LICENSE

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '%s: %d lines, %d words\n\n' "$text" "$(wc -l <"$text")" "$(wc -w <"$text")"
printf '  lines -> split -> words -> router -> words_upper -> exclamation -> shouted\n'
printf '                                    -> words_number, words_other\n\n'

# shellcheck disable=SC2002  # as a user would write it
cat "$text" | "$pulselet" run --data "$work/data" --engine-dir target/demo/engine \
    examples/demo/{split,router,exclamation}.yaml >"$work/words"

count() { sort "$1" | uniq -c; }
count "$work/words" >"$work/ours"
tr -s '[:space:]' '\n' <"$text" | awk '/^[A-Z]/ { print $0 "!"; next } /./' >"$work/expected-words"
count "$work/expected-words" >"$work/theirs"

printf '\nmost frequent words:\n'
sort -rn "$work/ours" | awk 'NR <= 5'

if ! diff "$work/theirs" "$work/ours" >"$work/difference"; then
    printf '\nthe result differs from that of tr, awk, sort and uniq (<):\n'
    awk 'NR <= 20' "$work/difference"
    exit 1
fi
printf '\n%d words came out, each as often as tr, awk, sort and uniq say\n' "$(wc -l <"$work/words")"
