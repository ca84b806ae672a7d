#!/usr/bin/env bash
# Checks the extension of JupyterLab: its unit tests pass, and what is built from its sources, in another folder, is
# byte for byte what lies in lab/dist and is installed.
#
#   lab/check.sh [FOLDER]    FOLDER keeps what npm installs [default: target/lab]

set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
folder=$(realpath -m "${1:-$here/../target/lab}")

if ! command -v npm >/dev/null; then
  echo "lab/check.sh: there is no npm here; install nodejs and npm" >&2
  exit 1
fi
mkdir -p "$folder"
cd "$folder"
rm -rf src style schema test lib dist
cp -r "$here"/{package.json,tsconfig.json,rspack.config.js,src,style,schema,test} .
# What npm has installed is that of the lock file.
if ! cmp --quiet "$here/package-lock.json" installed; then
  cp "$here/package-lock.json" .
  npm ci --ignore-scripts --no-fund --no-audit
  cp package-lock.json installed
fi
npm test --silent
npm run --silent build
if ! diff --recursive --brief "$here/dist" dist; then
  echo "lab/dist is not what lab/src builds; run: cd lab && npm ci --ignore-scripts && npm run build" >&2
  exit 1
fi
