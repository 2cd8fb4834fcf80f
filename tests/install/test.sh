#!/bin/sh
# Installs the build to a new prefix, moves that prefix, and uses it as others would: attnc, pkg-config, find_package.
#   test.sh BUILD_FOLDER SOURCE_FOLDER CMAKE
set -eu
build=$1 source=$2 cmake=$3
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

"$cmake" --install "$build" --prefix "$place/first" >"$place/log" || { cat "$place/log"; exit 1; }
mv "$place/first" "$place/prefix"
prefix=$place/prefix
lib=$(dirname "$(find "$prefix" -name libattn.so)")
pc=$(dirname "$(find "$prefix" -name attn.pc)")

echo "== attnc, with its library and its plug-in from the moved prefix"
ldd "$prefix/bin/attnc" | grep libattn
ldd "$prefix/bin/attnc" | grep -q "$prefix"
cat >"$place/double.attn" <<'END'
graph double(x: f32[N]) -> (y: f32[N]) { y[n] = 2*x[n] }
END
"$prefix/bin/attnc" run "$place/double.attn" --seed 1 --dims N=3 --target cpu

echo "== manual page and completions"
grep -q '^.SH SYNOPSIS' "$prefix/share/man/man1/attnc.1"
if command -v mandoc >/dev/null; then mandoc -T lint -W error "$prefix/share/man/man1/attnc.1"; fi
complete_in_bash() { bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _attnc; echo "${COMPREPLY[@]}"' - "$prefix/share/bash-completion/completions/attnc" "$@"; }
[ "$(complete_in_bash attnc ve)" = verify ]
[ "$(complete_in_bash attnc ir --af)" = --after ]
[ "$(cd "$place" && complete_in_bash attnc run dou)" = double.attn ]
for shell in zsh fish; do
    file=$(find "$prefix/share/$shell" -type f)
    if command -v "$shell" >/dev/null; then "$shell" -n "$file"; fi
done

echo "== pkg-config"
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs attn)
${CC:-cc} "$source/examples/embed_jit/embed_jit.c" $flags -Wl,-rpath,"$lib" -o "$place/by_pkgconfig"
"$place/by_pkgconfig" | diff "$source/examples/embed_jit/expected.txt" -

echo "== find_package"
mkdir "$place/host"
cp "$source/examples/embed_jit/embed_jit.c" "$source/examples/embed_jit/CMakeLists.txt" "$place/host"
"$cmake" -G Ninja -S "$place/host" -B "$place/host/build" -DCMAKE_PREFIX_PATH="$prefix" >"$place/log" && "$cmake" --build "$place/host/build" >>"$place/log" ||
    { cat "$place/log"; exit 1; }
"$place/host/build/embed_jit" | diff "$source/examples/embed_jit/expected.txt" -

echo "== shared objects, by attn_add_module"
for host in embed_aot embed_cpp; do
    cp -r "$source/examples/$host" "$place/$host"
    "$cmake" -G Ninja -S "$place/$host" -B "$place/$host/build" -DCMAKE_PREFIX_PATH="$prefix" >"$place/log" && "$cmake" --build "$place/$host/build" >>"$place/log" ||
        { cat "$place/log"; exit 1; }
    "$place/$host/build/$host" | diff "$source/examples/$host/expected.txt" -
done

echo "== an object with the installed runtime"
"$prefix/bin/attnc" build "$place/double.attn" -o "$place/twice.o"
printf '#include "twice.h"\nint main(void) { return twice_open(NULL, NULL, NULL, NULL) != TWICE_ERROR_ARGUMENT; }\n' >"$place/linked.c"
${CC:-cc} -I"$place" "$place/linked.c" "$place/twice.o" -L"$lib" -lattn_rt -lm -pthread -o "$place/linked" && "$place/linked"
