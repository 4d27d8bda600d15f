#!/usr/bin/env bash
# bench-tools.sh CACHE OUT: makes OUT/javascript.wasm and OUT/python.wasm from benches/guests.
#
# The tools are fetched once into CACHE/tools, by name and version, and take their place by one rename. Only benches use
# them: nothing that is tested or shipped depends on npm or PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

QJS=0.4.5   # componentize-qjs, of npm
PY=0.25.1   # componentize-py, of PyPI

cache=$1 out=$2
say() { printf '==> %s\n' "$*" >&2; }
stop() { printf 'bench-tools: %s\n' "$*" >&2; exit 1; }

# install NAME VERSION COMMAND...: the command is given the folder to install into.
install() {
    local name=$1 version=$2; shift 2
    local home="$cache/tools/$name-$version"
    [ ! -d "$home" ] || return 0
    local staging="$cache/tools/.staging-$name-$version-$$"
    say "install $name $version into $cache (once)"
    mkdir -p "$staging"
    if ! "$@" "$staging" >&2; then
        rm -rf "$staging"
        stop "$name $version was not installed"
    fi
    # Two runs at once fetch the same; the first one's result stays.
    mv -T "$staging" "$home" 2>/dev/null || rm -rf "$staging"
}

from_npm() { npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$1" "componentize-qjs@$QJS"; }
# Into a folder of its own, which may be moved, unlike an environment.
from_pypi() { python3 -m pip install --quiet --disable-pip-version-check --target "$1" "componentize-py==$PY"; }

command -v npm >/dev/null || stop "npm is missing: install Node.js"
command -v python3 >/dev/null || stop "python3 is missing"
install componentize-qjs "$QJS" from_npm
install componentize-py "$PY" from_pypi

# component FILE SOURCE COMMAND...: unless it is there and newer than its sources; the command is given the file to write.
component() {
    local file="$out/$1" source=$2; shift 2
    [ -z "$(find "$source" wit scripts/bench-tools.sh -newer "$file" 2>/dev/null || echo missing)" ] && return 0
    say "build $file"
    mkdir -p "$out"
    if ! "$@" "$file.new" >"$file.log" 2>&1; then cat "$file.log" >&2; stop "$file was not built"; fi
    mv "$file.new" "$file"
}

javascript() {
    "$cache/tools/componentize-qjs-$QJS/node_modules/.bin/componentize-qjs" \
        --wit wit --world function --js benches/guests/javascript/echo.js --sync --output "$1"
}
python() {
    PYTHONPATH="$cache/tools/componentize-py-$PY" "$cache/tools/componentize-py-$PY/bin/componentize-py" \
        --wit-path wit --world pulselet:function/function \
        componentize --python-path benches/guests/python echo --output "$1"
}

component javascript.wasm benches/guests/javascript javascript
component python.wasm benches/guests/python python
