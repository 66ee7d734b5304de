-- $1: a statement with a secret. Servers record the texts of statements, seldom the values of settings.
select set_config('homeport.statement', $1, false);
