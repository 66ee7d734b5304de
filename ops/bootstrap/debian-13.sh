# Sourced: apt that sees Debian 13's packages alone.
# shellcheck shell=bash

# debian_13_apt WORK TYPE...: sets apt_of_13 to an apt-get that works in the folder WORK, with a source list of its own
# (the mirror is the one this machine already uses), so the machine's package sources stay untouched. TYPE is deb or
# deb-src. False when apt knows no mirror of this distribution.
apt_of_13=()
debian_13_apt() {
  local work=$1 codename mirror
  shift
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
  # shellcheck disable=SC2016 # apt fills these in
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk -v codename="$codename" '$2 == codename && !found { print $1; found = 1 }')
  [ -n "$mirror" ] || { echo "apt has no package source for $codename" >&2 && return 1; }

  mkdir -p "$work/lists/partial"
  printf 'Types: %s\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' \
    "$*" "$mirror" /usr/share/keyrings/debian-archive-keyring.gpg >"$work/trixie.sources"
  apt_of_13=(apt-get -q -o "Dir::Etc::sourcelist=$work/trixie.sources" -o Dir::Etc::sourceparts=-
    -o "Dir::State::Lists=$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
}
