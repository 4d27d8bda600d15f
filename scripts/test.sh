#!/usr/bin/env bash
# Every test. The last line is "N passed, M failed", with ", K skipped" when some were; zero tests is a failure.
#
# A step that ends badly never hides the others: all of them run, and one that fails without saying how many tests
# failed (it did not compile, it crashed) counts as one failure.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=$PWD/target/test
mkdir -p "$logs"
passed=0 failed=${FAILED_BEFORE:-0} skipped=0

# Adds up libtest's "test result:" lines, colours taken out.
count() {
    sed $'s/\x1b\\[[0-9;]*m//g' "$1" |
        awk '/^test result: / { for (i = 1; i < NF; i++) {
                 if ($(i + 1) == "passed;") p += $i
                 if ($(i + 1) == "failed;") f += $i
                 if ($(i + 1) == "ignored;") s += $i } }
             END { print p + 0, f + 0, s + 0 }'
}

# step NAME FOLDER COMMAND...: runs it and counts the tests it reports.
step() {
    local name=$1 folder=$2 log status=0 started=$SECONDS p f s
    shift 2
    log=$logs/${name//[ \/]/-}.log
    printf '==> %s\n' "$name"
    (cd "$folder" && "$@") </dev/null 2>&1 | tee "$log" || status=1
    read -r p f s < <(count "$log")
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '==> %s: %s in %d s\n' "$name" "$([ "$status" -eq 0 ] && echo done || echo FAILED)" $((SECONDS - started))
    return "$status"
}

# prove NAME FOLDER COMMAND...: a command that is one test by itself.
prove() { if step "$@"; then passed=$((passed + 1)); fi; }

# on_component EXAMPLE FILE: the tests of an example once more, with the built component in place of the Rust function.
on_component() {
    step "tests of $1 on its component ${2%%/release/*}" examples env PULSELET_BIN="$PWD/target/debug/pulselet" \
        PULSELET_COMPONENT="$PWD/examples/target/$2" cargo test --package "$1" --tests --locked --no-fail-fast || true
}

step "build the test functions" tests/guests cargo build --release --locked --target wasm32-wasip2 || true
step "build the examples" examples cargo build --release --locked --target wasm32-wasip2 || true
# The second way to build a function: the cargo-component tool, in a target folder of its own.
step "build an example with cargo component" examples \
    "$CARGO_COMPONENT" component build --release --locked --package exclamation --target-dir target/component || true

step "workspace tests" . cargo test --workspace --locked --no-fail-fast || true
step "example tests" examples cargo test --workspace --locked --no-fail-fast || true
for manifest in examples/*/Cargo.toml; do
    example=$(basename "$(dirname "$manifest")")
    on_component "$example" "wasm32-wasip2/release/${example//-/_}.wasm"
done
on_component exclamation component/wasm32-wasip1/release/exclamation.wasm
prove "demo pipeline" . scripts/demo.sh target/debug/pulselet

if [ $((passed + failed)) -eq 0 ]; then
    echo "no test ran" >&2
    failed=1
fi
closing="$passed passed, $failed failed"
if [ "$skipped" -gt 0 ]; then closing="$closing, $skipped skipped"; fi
echo "$closing"
[ "$failed" -eq 0 ]
