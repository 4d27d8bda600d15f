#!/usr/bin/env bash
# Every check that runs no code of ours. All of them run; the last line names those that failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

failed=()
check() {
    local name=$1
    shift
    printf '==> lint: %s\n' "$name"
    "$@" || failed+=("$name")
}
within() { (cd "$1" && shift && "$@"); }
docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --locked --quiet; }

for workspace in . examples tests/guests benches/guests; do
    check "format of $workspace" within "$workspace" cargo fmt --check
done

check "clippy of ." cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
# Functions are checked for the target they are built for, in the profile they are built in, which spares compiling
# their build dependencies twice. Their unit tests run natively and are checked so; guests have none.
for workspace in examples tests/guests benches/guests; do
    check "clippy of $workspace" within "$workspace" \
        cargo clippy --workspace --release --locked --quiet --target wasm32-wasip2 -- -D warnings
done
check "clippy of the tests of examples" within examples \
    cargo clippy --workspace --tests --locked --quiet -- -D warnings

check "docs" docs

# `advisories` is left out: it needs the advisory database, a download on every run. Run it by hand before a release.
for workspace in . examples tests/guests benches/guests; do
    check "dependencies of $workspace" "$CARGO_DENY" --log-level error \
        --manifest-path "$workspace/Cargo.toml" --locked --config "$root/deny.toml" check licenses bans sources
done

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint failed: %s\n' "$(IFS=,; printf '%s' "${failed[*]}" | sed 's/,/, /g')"
    exit 1
fi
echo "lint passed"
