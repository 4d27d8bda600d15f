#!/usr/bin/env bash
# install-tool.sh CACHE NAME VERSION: puts a cargo tool into CACHE/tools/NAME-VERSION/bin, once.
#
# The tool is built in the cache, away from this project's target folder, from the versions its author locked.
# It takes its place by one rename, so an interrupted run leaves nothing that looks installed; what was compiled
# until then is kept and the next run goes on from there.
set -euo pipefail
cd "$(dirname "$0")/.."   # cargo takes the toolchain pinned here

cache=$1 name=$2 version=$3
home="$cache/tools/$name-$version"
[ ! -x "$home/bin/$name" ] || exit 0

build="$cache/build/$name-$version"
staging="$cache/tools/.staging-$name-$version-$$"
trap 'rm -rf "$staging"' EXIT
mkdir -p "$build" "$staging"

printf '==> install %s %s into %s (once)\n' "$name" "$version" "$cache" >&2
log="$build/install.log"
# Profile and flags meant for this project must not reach the tool.
if ! env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET \
    CARGO_TARGET_DIR="$build/target" CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_LTO=off \
    cargo install "$name" --version "=$version" --locked --root "$staging" --no-track >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    printf 'install-tool: %s %s was not installed; the whole log is %s\n' "$name" "$version" "$log" >&2
    exit 1
fi

# Two runs at once build the same thing; the second finds the first one's result and leaves it alone.
if [ ! -x "$home/bin/$name" ]; then
    rm -rf "$home"
    mv "$staging" "$home"
fi
rm -rf "$build"
