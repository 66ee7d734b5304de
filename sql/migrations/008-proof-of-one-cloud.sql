-- Which cloud a verdict is about, as checks/database-identity.sql names it: verdicts travel to every cloud of a primary.
-- Null where the server does not say, and in rows from before.
alter table verifications add column cloud text;
