#!/bin/sh
# usage: test.sh TEST_PROGRAM     fetches the weights if they can be had, and runs the test; without them it says what is left out
set -eu
here=$(cd "$(dirname "$0")" && pwd)
model=$("$here/fetch.sh") || { model=; echo "the weights could not be fetched: tokens and embeddings are not compared"; }
exec "$1" "$here" "$model"
