SELECT current_setting('server_version_num')::int >= 150000 AS v15, current_setting('server_version_num')::int >= 160000 AS v16 \gset
CREATE ROLE alice LOGIN PASSWORD 'pass' CONNECTION LIMIT 7 VALID UNTIL '2030-01-01 00:00:00+00';
CREATE ROLE alice_super SUPERUSER;
CREATE ROLE "bob-ß" CREATEDB CREATEROLE NOINHERIT;
CREATE ROLE "group ""g" REPLICATION BYPASSRLS;
GRANT alice TO "bob-ß" WITH ADMIN OPTION;
GRANT "group ""g" TO alice;
GRANT pg_monitor TO alice;
COMMENT ON ROLE alice IS 'she''s here';
ALTER ROLE alice SET search_path TO "$user", 'odd schema', public;
ALTER ROLE alice SET work_mem = '7MB';
ALTER ROLE ALL SET application_name = 'quo''ted\';
\if :v15
GRANT SET ON PARAMETER log_min_messages TO alice;
\endif
-- Lists as their owners may leave them: what would be a statement, and names without the quotes that SQL needs.
CREATE ROLE mallory LOGIN;
SELECT set_config('search_path', 'x;ALTER/**/ROLE/**/mallory/**/SUPERUSER;--', false);
ALTER ROLE mallory SET search_path FROM CURRENT;
SELECT set_config('search_path', '$user,public', false);
ALTER ROLE alice_super SET search_path FROM CURRENT;
RESET search_path;
-- Before 16 whoever gave a membership may be gone.
\if :v16
\else
CREATE ROLE giver SUPERUSER;
SET SESSION AUTHORIZATION giver;
GRANT alice TO mallory;
RESET SESSION AUTHORIZATION;
DROP ROLE giver;
\endif
