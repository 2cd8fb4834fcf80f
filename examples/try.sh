#!/bin/sh
# try.sh ATTNC FILE: computes an example with the sizes of its `## try:` line on the CPU and by the evaluator, and compares the two.
set -eu
attnc=$1
file=$2
grep -q '^## try: ' "$file" || { echo "$file has no line '## try:'"; exit 1; }
grep -q "(${file##*/})" "$(dirname "$0")/README.md" || { echo "examples/README.md says nothing about ${file##*/}"; exit 1; }
for target in cpu eval; do
    echo "$ attnc run $(basename "$file") --target $target --print"
    shown=$("$attnc" run "$file" --target "$target" --print)
    [ -n "$shown" ] || { echo "nothing is printed"; exit 1; }
    echo "$shown"
done
"$attnc" verify "$file" --target cpu
