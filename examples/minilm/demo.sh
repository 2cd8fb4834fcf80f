#!/bin/sh
# The main job: embeds the questions of faq.txt with all-MiniLM-L6-v2 and prints the most similar pairs, or with --query the answers
# nearest to a question. Fetches the weights once; without them it runs the examples that need none.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${ATTN_BUILD:-$root/build/default}

if model=$("$here/fetch.sh"); then
    exec "$build/minilm" --graph "$here/minilm.attn" --weights "$model/model.safetensors" --vocab "$model/vocab.txt" "$@" "$here/faq.txt"
fi
echo "The weights could not be fetched: running the examples that need none." >&2
status=0
for example in "$root"/examples/*.attn; do
    echo "$ attnc run examples/${example##*/} --print"
    "$build/attnc" run "$example" --print || status=1
done
exit $status
