-- $1: name of a role; only a superuser may read this
select rolpassword as "verifier" from pg_authid where rolname = $1;
