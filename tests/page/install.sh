#!/usr/bin/env bash
# What the tests of the page load from npm's registry, once for a lockfile. The browser is Debian's.
set -euo pipefail
cd "$(dirname "$0")"
cmp --silent package-lock.json node_modules/.made-of && exit
PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
cp package-lock.json node_modules/.made-of
