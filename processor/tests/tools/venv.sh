#!/usr/bin/env bash
# Prints the path of a python that has what requirements.txt beside this file names, or the file that is given instead;
# makes it at the first call.
#
#   python=$(processor/tests/tools/venv.sh) && "$python" processor/tests/tools/read_committed.py --help
#   python=$(processor/tests/tools/venv.sh requirements-s3.txt)
#
# Kept in ${XDG_CACHE_HOME:-$HOME/.cache}/tocsin, one for each content of such a file.
# Exit codes: 0 printed; 3 cannot be had here (no python3 with venv, or PyPI out of reach); 1 anything else.
set -euo pipefail

requirements="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/${1:-requirements.txt}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin"

if ! command -v python3 >/dev/null || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  echo "venv.sh: python3 with its venv module is missing: install it (Debian: apt-get install python3-venv)" >&2
  exit 3
fi

# The interpreter belongs to the name: a venv of a python that is gone or replaced is of no use.
hash=$( { python3 -c 'import sys; print(sys.executable, sys.version)'; cat "$requirements"; } | sha256sum | cut -c1-12)
venv="$cache/venv-$hash"
python="$venv/bin/python"

mkdir -p "$cache"
# One maker at a time. A venv cannot be made elsewhere and renamed, for it knows its own path: hence the mark at the end.
exec 9>"$cache/venv.lock"
flock 9
if [[ ! -e "$venv/complete" ]]; then
  rm -rf "$venv"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! python3 -m venv "$venv" >"$log" 2>&1; then
    echo "venv.sh: python3 could not make $venv: $(tail -n 2 "$log")" >&2
    exit 1
  fi
  if ! "$python" -m pip install --quiet --disable-pip-version-check --retries 2 -r "$requirements" >"$log" 2>&1 9>&-; then
    rm -rf "$venv"
    if grep -qiE 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Max retries|name resolution|SSLError' "$log"; then
      echo "venv.sh: PyPI cannot be reached from here, and $requirements is not installed yet:" >&2
      grep -m 1 -oE 'broken by .*|ERROR.*' "$log" >&2 || true
      exit 3
    fi
    echo "venv.sh: pip could not install $requirements:" >&2
    tail -n 5 "$log" >&2
    exit 1
  fi
  touch "$venv/complete"
fi
echo "$python"
