#!/usr/bin/env bash
# bash ops/bootstrap/build-pgvector.sh MAJOR [sudo -n]
#
# Builds pgvector for Debian's PostgreSQL MAJOR from Debian 13's source package and installs it, where
# the distribution has no package of it.
set -euo pipefail

major=$1
shift
as_root=("$@")
# shellcheck source=ops/bootstrap/debian-13.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian-13.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/homeport-pgvector.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

debian_13_apt "$work" deb-src
mkdir source headers
"${apt_of_13[@]}" update
"${apt_of_13[@]}" source --download-only pgvector
tar -xf pgvector_*.orig.tar.* -C source --strip-components=1

# The headers alone: the development package as a whole brings a second compiler, 500 MB of it.
includes=/usr/include/postgresql/$major
if [ ! -e "$includes/server/postgres.h" ]; then
  apt-get -q -o APT::Sandbox::User=root download "postgresql-server-dev-$major"
  dpkg-deb -x postgresql-server-dev-*.deb headers
  includes=$work/headers$includes
fi

# No -march=native: this may be an image that runs on another machine. pgvector picks at run time.
make -C source -j2 PG_CONFIG="/usr/lib/postgresql/$major/bin/pg_config" \
  includedir_server="$includes/server" includedir_internal="$includes/internal" with_llvm=no OPTFLAGS= all

# The library goes in last and whole: it is what tells the next start that all is there.
extension=/usr/share/postgresql/$major/extension library=/usr/lib/postgresql/$major/lib
"${as_root[@]}" install -m 644 source/sql/vector--*.sql source/vector.control "$extension/"
"${as_root[@]}" install -m 755 source/vector.so "$library/vector.so.new"
"${as_root[@]}" mv "$library/vector.so.new" "$library/vector.so"
