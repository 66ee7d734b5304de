#!/usr/bin/env bash
# Everything `npm start` and `npm test` need, on a bare machine: the npm packages, Postgres with
# pgvector, the FAISS addon, ffmpeg and (with --test) a headless browser and a second Postgres. Says what
# it does on stderr, writes nothing to stdout, and is done in a moment when there is nothing to do.
#
#   bash ops/bootstrap.sh [--test]            before npm start and npm test
#   sudo bash ops/bootstrap.sh --system       only what needs root, where sudo asks for a password
#
# Exit 0: all is there. 1: a step failed (its log is shown). 2: something is missing that needs root,
# or this Node is too old; the command to run is printed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=ops/bootstrap/common.sh
. ops/bootstrap/common.sh
# shellcheck source=ops/bootstrap/postgres.sh
. ops/bootstrap/postgres.sh
# shellcheck source=ops/bootstrap/packages.sh
. ops/bootstrap/packages.sh
# shellcheck source=ops/bootstrap/faiss.sh
. ops/bootstrap/faiss.sh
# shellcheck source=ops/bootstrap/postgres-17.sh
. ops/bootstrap/postgres-17.sh

for_tests=no system_only=no
for option in "$@"; do
  case $option in
    --test) for_tests=yes ;;
    --system) system_only=yes ;;
    *) stop "unknown option $option" 'bash ops/bootstrap.sh [--test] [--system]' ;;
  esac
done

if [ "$system_only" = yes ]; then
  apt_log=$(mktemp /tmp/homeport-bootstrap-apt.XXXXXX)
  plan_system_packages
  install_system_packages
  say 'the system packages are there; go on as yourself: npm start'
  exit 0
fi

command -v node >/dev/null || stop 'Node 20 or newer is needed, and there is no node on the PATH' \
  'install it from https://nodejs.org or with your package manager'
node_version=$(node --version)
node_major=${node_version#v} node_major=${node_major%%.*}
[ "$node_major" -ge 20 ] || stop "Node 20 or newer is needed; $(command -v node) is $node_version" \
  'install it from https://nodejs.org or with your package manager'

if nothing_to_do; then exit 0; fi

mkdir -p data
take_lock data/bootstrap.lock
# Another start may have done the work while this one waited for the lock.
if nothing_to_do; then exit 0; fi

plan_system_packages

# Beside the system packages: the two wait for different things most of the time. Should this script be
# stopped, npm goes on to its end and keeps the lock until then.
npm_job=
if ! npm_packages_present; then
  say 'installing the npm packages (npm ci)'
  install_npm_packages >data/bootstrap-npm.log 2>&1 &
  npm_job=$!
fi

install_system_packages

if [ -n "$npm_job" ]; then
  wait "$npm_job" || fail 'npm ci failed' data/bootstrap-npm.log
  say 'the npm packages are there'
fi

build_faiss_addon
if [ "$for_tests" = yes ]; then make_postgres_17; fi
say 'ready'
