#!/bin/sh
# Install the programs and suites of others into .venv-programs, from the pinned lock, and fetch the
# sources whose tests are run. May be run again; does nothing when the locks have not changed since.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-programs
lock=compat/requirements-programs.lock
if ! { [ -f "$venv/installed.lock" ] && cmp -s "$lock" "$venv/installed.lock"; }; then
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    cp "$lock" "$venv/installed.lock"
fi
sources=.cache/compat/sources
lock=compat/requirements-sources.lock
if ! { [ -f "$sources/fetched.lock" ] && cmp -s "$lock" "$sources/fetched.lock"; }; then
    rm -rf "$sources"
    mkdir -p "$sources"
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --no-binary caldav,vdirsyncer -d "$sources" -r "$lock"
    cp "$lock" "$sources/fetched.lock"
fi
