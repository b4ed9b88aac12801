SELECT current_setting('server_version_num')::int >= 140000 AS v14, current_setting('server_version_num')::int >= 150000 AS v15 \gset
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
