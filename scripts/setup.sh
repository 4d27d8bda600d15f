#!/usr/bin/env bash
# Makes a machine with rustup, make and a C linker ready to build. Says nothing when there is nothing to do.
#
# The toolchain, its components and its targets are read from rust-toolchain.toml, the one place that names them.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# As root a missing system package is installed; anybody else is told the one line to run.
need_command() {
    local command=$1 packages=$2
    if command -v "$command" >/dev/null; then return; fi
    if ! command -v apt-get >/dev/null; then stop "$command is missing: install it with your system's package manager"; fi
    local line="apt-get update && apt-get install --yes --no-install-recommends $packages"
    if [ "$(id -u)" -ne 0 ]; then stop "$command is missing; run: sudo sh -c '$line'"; fi
    say "install $packages"
    DEBIAN_FRONTEND=noninteractive sh -c "$line" >&2
}

# The value of a one-line key of rust-toolchain.toml: its words, without quotes, commas and brackets.
pinned() { sed -n "s/^$1 *= *//p" rust-toolchain.toml | tr -d '[]",'; }

command -v rustup >/dev/null || stop "rustup is missing: install it from https://rustup.rs and run make again"
need_command cc "gcc libc6-dev"

channel=$(pinned channel)
if ! grep -q "^$channel-" <<<"$(rustup toolchain list)"; then
    say "install Rust $channel"
    rustup toolchain install "$channel" --profile minimal --no-self-update
fi

components=$(rustup component list --installed --toolchain "$channel")
for component in $(pinned components); do
    grep -q "^$component" <<<"$components" || rustup component add --toolchain "$channel" "$component"
done

targets=$(rustup target list --installed --toolchain "$channel")
for target in $(pinned targets); do
    grep -qx "$target" <<<"$targets" || rustup target add --toolchain "$channel" "$target"
done
