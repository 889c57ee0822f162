#!/bin/sh
# Install the servers that Keepwell is measured beside into .venv-bench, from the pinned lock.
# May be run again; does nothing when the lock has not changed since.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-bench
lock=bench/requirements-bench.lock
if [ -f "$venv/installed.lock" ] && cmp -s "$lock" "$venv/installed.lock"; then
    exit 0
fi
"${PYTHON:-python3}" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
cp "$lock" "$venv/installed.lock"
