# Sourced by ops/bootstrap.sh: the system packages, through apt on Debian and Ubuntu; elsewhere the
# command to run is printed.
# shellcheck shell=bash

apt_log=data/bootstrap-apt.log

# Sets wanted to what is missing, and as_root to the words in front of a command that needs root. Postgres
# with pgvector must be there afterwards, so without the means to install it this stops; the rest is worth
# a warning: without FAISS the api scans, without ffmpeg only captions and transcripts are ingested.
wanted=()
plan_system_packages() {
  find_postgres || wanted+=(postgres)
  faiss_library_present || wanted+=(faiss)
  ffmpeg_present || wanted+=(ffmpeg)
  if [ "$for_tests" = yes ] && ! browser_present; then wanted+=(browser); fi
  if [ ${#wanted[@]} -eq 0 ]; then return 0; fi

  if [ -n "${HOMEPORT_PG_BIN-}" ] && [ -z "$postgres_bin" ]; then
    stop "HOMEPORT_PG_BIN=$HOMEPORT_PG_BIN has no Postgres 15 or newer with pgvector" \
      'unset HOMEPORT_PG_BIN to use the one of the system, or install pgvector there'
  fi
  if command -v apt-get >/dev/null; then
    become_root || do_without "$(root_command)"
  elif [ "$(uname -s)" = Darwin ]; then
    do_without 'brew install postgresql@17 pgvector faiss libomp openblas ffmpeg'
  else
    do_without "install postgresql (15 or newer) and pgvector with this system's package manager"
  fi
}

# do_without COMMAND: goes on when only optional things are missing.
do_without() {
  if [ -n "$postgres_bin" ]; then
    warn "not installed: ${wanted[*]}; to have it: $1"
    wanted=()
    return 0
  fi
  stop 'there is no Postgres 15 or newer with pgvector on this machine' "$1" \
    'in Docker: see "Docker" in README.md' \
    'HOMEPORT_PG_BIN=FOLDER npm start, when initdb and postgres are in FOLDER'
}

root_command() {
  local tests=
  if [ "$for_tests" = yes ]; then tests=' --test'; fi
  echo "sudo bash ops/bootstrap.sh --system$tests"
}

# Sets as_root; false when there is no way to be root without a password.
become_root() {
  as_root=()
  if [ "$(id -u)" = 0 ]; then return 0; fi
  as_root=(sudo -n)
  command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

install_system_packages() {
  if [ ${#wanted[@]} -eq 0 ]; then return 0; fi
  : >"$apt_log"
  say "reading the package lists (missing: ${wanted[*]})"
  # A third party's list that fails is that party's business: the packages below come from the distribution.
  apt_get update || warn 'some package lists could not be read; going on with the rest'

  local name required=() optional=()
  for name in "${wanted[@]}"; do
    case $name in
      postgres) choose_postgres_packages ;;
      faiss) optional+=(g++ libfaiss-dev libopenblas-dev) ;;
      ffmpeg) optional+=(ffmpeg) ;;
      browser) optional+=("$(browser_package)" fonts-liberation) ;;
    esac
  done
  finish_cut_off_installation
  say "installing" "${required[@]}" "${optional[@]}" '(a minute or two, the first time)'
  # All at once is quickest; one that cannot be had must not keep the others out.
  if ! without_main_cluster apt_install "${required[@]}" "${optional[@]}"; then
    if [ ${#required[@]} -gt 0 ]; then
      without_main_cluster apt_install "${required[@]}" || fail "${required[*]} could not be installed" "$apt_log"
    fi
    for name in "${optional[@]}"; do
      apt_install "$name" || warn "$name could not be installed; see $apt_log"
    done
  fi
  if [ -n "$pgvector_for" ]; then finish_pgvector; fi
}

# A start that was killed while dpkg worked: until that is finished, apt refuses everything.
finish_cut_off_installation() {
  if [ -z "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ]; then return 0; fi
  say 'finishing an installation that was cut off (dpkg --configure -a)'
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a </dev/null >>"$apt_log" 2>&1 9>&- ||
    warn "that did not work; see $apt_log"
}

# A distribution's own pgvector package where there is one for the server that is or will be here; else
# pgvector is built afterwards for the major version in pgvector_for.
pgvector_for=
choose_postgres_packages() {
  local major
  if find_bare_postgres; then
    major=$bare_major
  else
    major=$(apt-cache depends postgresql 2>/dev/null) || major=
    if [[ $major =~ Depends:\ postgresql-([0-9]+) ]]; then major=${BASH_REMATCH[1]}; else major=; fi
    [ "${major:-0}" -ge 15 ] || stop "this distribution offers PostgreSQL ${major:-in no version}; 15 or newer is needed" \
      'add the repository of https://apt.postgresql.org and run this again'
    required+=("postgresql-$major")
  fi
  if has_candidate "postgresql-$major-pgvector"; then
    required+=("postgresql-$major-pgvector")
  else
    required+=(gcc make libc6-dev)
    pgvector_for=$major
  fi
}

finish_pgvector() {
  say "building pgvector for PostgreSQL $pgvector_for from Debian's source package"
  bash ops/bootstrap/build-pgvector.sh "$pgvector_for" "${as_root[@]}" >>"$apt_log" 2>&1 ||
    fail 'pgvector could not be built' "$apt_log"
  find_postgres || fail "PostgreSQL $pgvector_for is installed, but without pgvector" "$apt_log"
}

# Services that a package starts must not inherit the lock on descriptor 9.
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
    apt-get -q -o DPkg::Lock::Timeout=600 "$@" </dev/null >>"$apt_log" 2>&1 9>&-
}

apt_install() { apt_get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"; }

# Without a pipe: apt-cache that is cut off by a reader who has seen enough counts as failed.
has_candidate() {
  local policy
  policy=$(apt-cache policy "$1" 2>/dev/null) || return 1
  [[ $policy == *'Candidate: '[0-9]* ]]
}

# Ubuntu calls it otherwise, and hands out a snap.
browser_package() { if has_candidate chromium; then echo chromium; else echo chromium-browser; fi; }

# Debian's package creates and starts a server of its own on port 5432, which nobody asked for here. The
# file is afterwards what it was, or what the package brings.
without_main_cluster() {
  local conf=/etc/postgresql-common/createcluster.conf was_there=no status=0
  if [ -e "$conf" ]; then was_there=yes; fi
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  printf '# homeport: only while its bootstrap installs packages\ncreate_main_cluster = false\n' |
    "${as_root[@]}" tee -a "$conf" >/dev/null
  "$@" || status=$?
  if [ "$was_there" = yes ]; then
    "${as_root[@]}" sed -i '/^# homeport: /,+1d' "$conf"
  else
    "${as_root[@]}" cp /usr/share/postgresql-common/createcluster.conf "$conf" 2>/dev/null ||
      "${as_root[@]}" rm -f "$conf"
  fi
  return "$status"
}
