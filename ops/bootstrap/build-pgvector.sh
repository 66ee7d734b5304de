#!/usr/bin/env bash
# bash ops/bootstrap/build-pgvector.sh MAJOR [sudo -n]
#
# Builds pgvector for Debian's PostgreSQL MAJOR from Debian 13's source package and installs it, where
# the distribution has no package of it. apt works in folders of its own with a source list of its own
# (the mirror is the one this machine already uses), so the machine's package sources stay untouched.
set -euo pipefail

major=$1
shift
as_root=("$@")
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
work=$(mktemp -d "${TMPDIR:-/tmp}/homeport-pgvector.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# shellcheck disable=SC2016 # apt fills these in
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
  awk -v codename="$codename" '$2 == codename && !found { print $1; found = 1 }')
[ -n "$mirror" ] || { echo "apt has no package source for $codename" && exit 1; }

mkdir -p lists/partial source headers
printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' \
  "$mirror" /usr/share/keyrings/debian-archive-keyring.gpg >trixie.sources
own=(-q -o "Dir::Etc::sourcelist=$work/trixie.sources" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$work/lists"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
apt-get "${own[@]}" update
apt-get "${own[@]}" source --download-only pgvector
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
