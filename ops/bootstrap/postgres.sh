# Sourced by ops/bootstrap.sh: finding a Postgres 15 or newer that has pgvector. The same order as
# ops/local/find-postgres.ts.
# shellcheck shell=bash

postgres_folders() {
  if [ -n "${HOMEPORT_PG_BIN-}" ]; then
    echo "$HOMEPORT_PG_BIN"
    return
  fi
  local folder
  # Newest first; the numbers are compared as numbers.
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    if [ -x "$folder/initdb" ]; then echo "$folder"; fi
  done | sort -t/ -k4,4Vr -k5,5Vr
  if command -v pg_config >/dev/null; then pg_config --bindir; fi
}

# postgres_major BIN: 15 for "postgres (PostgreSQL) 15.18 (Debian ...)".
postgres_major() {
  local text
  text=$("$1/postgres" --version 2>/dev/null) || return 1
  text=${text#*) }
  echo "${text%%[!0-9]*}"
}

# has_pgvector BIN. Debian's layout is looked at directly: starting pg_config costs more.
has_pgvector() {
  local share
  case "$1" in
    /usr/lib/postgresql/*/bin)
      share=${1#/usr/lib/postgresql/} share=/usr/share/postgresql/${share%/bin}
      [ -e "$share/extension/vector.control" ] && [ -e "${1%/bin}/lib/vector.so" ]
      ;;
    *)
      if [ -x "$1/pg_config" ]; then share=$("$1/pg_config" --sharedir); else share=$1/../share/postgresql; fi
      [ -e "$share/extension/vector.control" ] || [ -e "$1/../share/extension/vector.control" ]
      ;;
  esac
}

# Sets postgres_bin to the first folder with a server of 15 or newer and pgvector.
find_postgres() {
  local folder major
  postgres_bin=
  while IFS= read -r folder; do
    has_pgvector "$folder" || continue
    major=$(postgres_major "$folder") || continue
    if [ "${major:-0}" -ge 15 ]; then
      postgres_bin=$folder
      return 0
    fi
  done < <(postgres_folders)
  return 1
}

# Sets bare_major to the newest installed server of 15 or newer on Debian's layout, without asking for pgvector.
find_bare_postgres() {
  local folder major
  bare_major=
  for folder in /usr/lib/postgresql/*/bin; do
    [ -x "$folder/initdb" ] || continue
    major=$(postgres_major "$folder") || continue
    if [ "${major:-0}" -ge 15 ] && [ "$major" -gt "${bare_major:-0}" ]; then bare_major=$major; fi
  done
  [ -n "$bare_major" ]
}
