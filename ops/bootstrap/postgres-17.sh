# Sourced by ops/bootstrap.sh: Postgres 17 with pgvector beside the machine's own, for the tests in which the two sides
# are of different versions. Nothing else needs it: where it cannot be had, those tests are skipped.
# shellcheck shell=bash

postgres_17=data/postgres-17
# Says why there is none, so that a machine that cannot have it does not try at every start; the tests repeat it.
postgres_17_refused=data/postgres-17-not-made

# There, or known not to come here: then a person gets one line at every start.
postgres_17_settled() {
  if cmp -s test/support/postgres-17/package-lock.json "$postgres_17/package-lock.json"; then return 0; fi
  [ -e "$postgres_17_refused" ] || return 1
  warn "the tests across versions of Postgres are skipped: $(cat "$postgres_17_refused")" \
    "(remove $postgres_17_refused to try again)"
}

make_postgres_17() {
  if postgres_17_settled; then return 0; fi
  say 'fetching Postgres 17 and building pgvector for it, for the tests across versions'
  local log=data/bootstrap-postgres-17.log reason
  if reason=$(bash ops/bootstrap/build-postgres-17.sh "$postgres_17" 2>"$log" 9>&-); then return 0; fi
  echo "${reason:-see $log}" >"$postgres_17_refused"
  postgres_17_settled
}
