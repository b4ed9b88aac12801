SELECT current_setting('server_version_num')::int >= 140000 AS v14, current_setting('server_version_num')::int >= 150000 AS v15,
  current_setting('server_version_num')::int >= 160000 AS v16, current_setting('server_version_num')::int >= 180000 AS v18 \gset
\if :v14
\set multirange 'int8multirange(int8range(1, i), int8range(1000, NULL))'
\set endless Infinity
\else
\set multirange 'int8range(1, i)'
\set endless NaN
\endif
-- Every class of object that a database of this server can have, and names that need care.
CREATE SCHEMA app AUTHORIZATION alice;
CREATE SCHEMA "odd ""na'me$$
line" AUTHORIZATION "bob-ß";
COMMENT ON SCHEMA "odd ""na'me$$
line" IS E'quotes '' and \\ and\nlines';
CREATE EXTENSION hstore WITH SCHEMA app;
CREATE EXTENSION btree_gist;
CREATE EXTENSION citext;
COMMENT ON EXTENSION citext IS 'another text';
REVOKE EXECUTE ON FUNCTION app.hstore_to_json(app.hstore) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.hstore_to_json(app.hstore) TO alice;

-- types
CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok', 'happy', '');
ALTER TYPE app.mood ADD VALUE 'between' BEFORE 'happy';
CREATE TYPE app.pair AS (a int, b text COLLATE "C", c app.mood[]);
COMMENT ON TYPE app.pair IS 'two and more';
COMMENT ON COLUMN app.pair.b IS 'the second';
CREATE DOMAIN app.positive AS numeric(12, 3) DEFAULT 1 CONSTRAINT above CHECK (VALUE > 0) CONSTRAINT below CHECK (VALUE < 1e9);
CREATE DOMAIN app.needed AS text COLLATE "C" NOT NULL;
COMMENT ON CONSTRAINT above ON DOMAIN app.positive IS 'no zero';
COMMENT ON DOMAIN app.positive IS 'a domain';
CREATE FUNCTION app.distance(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
\if :v14
CREATE TYPE app.floats AS RANGE (subtype = float8, subtype_diff = app.distance, multirange_type_name = app.many_floats);
\else
CREATE TYPE app.floats AS RANGE (subtype = float8, subtype_diff = app.distance);
\endif
CREATE TYPE app.shell;
CREATE TYPE app.raw;
CREATE FUNCTION app.raw_in(cstring) RETURNS app.raw LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION app.raw_out(app.raw) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE app.raw (INPUT = app.raw_in, OUTPUT = app.raw_out, INTERNALLENGTH = VARIABLE, STORAGE = extended, CATEGORY = 'S', DEFAULT = 'no''thing', COLLATABLE = true);
ALTER TYPE app.raw OWNER TO alice;
GRANT USAGE ON TYPE app.mood TO alice;
REVOKE USAGE ON TYPE app.mood FROM PUBLIC;

-- functions, aggregates, operators
CREATE FUNCTION app.twice(x int DEFAULT 3, VARIADIC more text[] DEFAULT '{}', OUT y int, OUT z text) LANGUAGE plpgsql STABLE STRICT LEAKPROOF
  PARALLEL SAFE COST 7 SET search_path TO "$user", app, pg_catalog SET work_mem = '1MB' AS $f$ BEGIN y := x * 2; z := '$$'; END $f$;
\if :v14
CREATE FUNCTION app.atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;
\else
CREATE FUNCTION app.atomic(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1';
\endif
CREATE FUNCTION app.setof() RETURNS SETOF app.pair LANGUAGE sql ROWS 5 AS $$ SELECT 1, 'x', NULL::app.mood[] $$;
CREATE FUNCTION app.table_of(n int) RETURNS TABLE (a int, b text) LANGUAGE sql SECURITY DEFINER AS $$ SELECT n, 'b' $$;
CREATE PROCEDURE app.act(INOUT a int, b text DEFAULT 'q''') LANGUAGE plpgsql AS $$ BEGIN a := a + 1; END $$;
\if :v14
CREATE PROCEDURE app.mode(IN a int, OUT b int) LANGUAGE plpgsql AS $$ BEGIN b := a; END $$;
CREATE PROCEDURE app.mode(IN z int, IN b int) LANGUAGE plpgsql AS $$ BEGIN END $$;
COMMENT ON PROCEDURE app.mode(IN int, OUT int) IS 'out';
COMMENT ON PROCEDURE app.mode(IN int, IN int) IS 'in';
ALTER PROCEDURE app.mode(IN int, OUT int) OWNER TO alice;
REVOKE ALL ON PROCEDURE app.mode(IN int, OUT int) FROM PUBLIC;
GRANT ALL ON PROCEDURE app.mode(IN int, IN int) TO alice;
\endif
ALTER FUNCTION app.atomic(int) OWNER TO "bob-ß";
COMMENT ON FUNCTION app.atomic(int) IS 'atomic';
COMMENT ON PROCEDURE app.act(int, text) IS 'acts';
REVOKE ALL ON FUNCTION app.atomic(int) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE app.act(int, text) TO alice;
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = safe, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = '0', SORTOP = OPERATOR(pg_catalog.<));
CREATE AGGREGATE app.number(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE AGGREGATE app.middle(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE);
COMMENT ON AGGREGATE app.number(*) IS 'counts';
COMMENT ON AGGREGATE app.middle(float8 ORDER BY anyelement) IS 'ordered';
CREATE FUNCTION app.same(app.mood, app.mood) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'enum_eq';
CREATE OPERATOR app.=== (FUNCTION = app.same, LEFTARG = app.mood, RIGHTARG = app.mood, COMMUTATOR = OPERATOR(app.===), NEGATOR = OPERATOR(app.!==), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE FUNCTION app.differ(app.mood, app.mood) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'enum_ne';
CREATE OPERATOR app.!== (FUNCTION = app.differ, LEFTARG = app.mood, RIGHTARG = app.mood, NEGATOR = OPERATOR(app.===));
CREATE OPERATOR app.!! (FUNCTION = int4um, RIGHTARG = int);
COMMENT ON OPERATOR app.!! (NONE, int) IS 'prefix';
CREATE OPERATOR FAMILY app.moods USING btree;
CREATE OPERATOR CLASS app.mood_ops FOR TYPE app.mood USING btree FAMILY app.moods AS
  OPERATOR 1 pg_catalog.<(anyenum, anyenum), OPERATOR 3 app.===, FUNCTION 1 enum_cmp(anyenum, anyenum);
CREATE OPERATOR FAMILY app.loose USING hash;
ALTER OPERATOR FAMILY app.loose USING hash ADD OPERATOR 1 app.=== (app.mood, app.mood), FUNCTION 1 (app.mood, app.mood) hashenum(anyenum);
COMMENT ON OPERATOR CLASS app.mood_ops USING btree IS 'class';
COMMENT ON OPERATOR FAMILY app.loose USING hash IS 'family';
CREATE FUNCTION app.pair_text(app.pair) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT ($1).b $$;
CREATE CAST (app.pair AS text) WITH FUNCTION app.pair_text(app.pair) AS ASSIGNMENT;
CREATE CAST (app.mood AS int) WITH INOUT;
COMMENT ON CAST (app.pair AS text) IS 'a cast';
CREATE CONVERSION app.mine FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE COLLATION app.coll FROM "C";
DO $$ BEGIN CREATE COLLATION app.icu (provider = icu, locale = 'und', deterministic = false); EXCEPTION WHEN feature_not_supported THEN NULL; END $$;
CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = pg_catalog.simple, STOPWORDS = 'english', ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION app.config (PARSER = pg_catalog."default");
ALTER TEXT SEARCH CONFIGURATION app.config ADD MAPPING FOR asciiword, word WITH app.dict, pg_catalog.simple;
CREATE TEXT SEARCH TEMPLATE app.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH PARSER app.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
COMMENT ON TEXT SEARCH CONFIGURATION app.config IS 'searches';
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE FUNCTION app.call_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION app.inline_handler(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION app.validator(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE plsample HANDLER app.call_handler INLINE app.inline_handler VALIDATOR app.validator;
COMMENT ON LANGUAGE plsample IS 'speaks';
CREATE FUNCTION app.to_internal(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'prsd_lextype';
CREATE TRANSFORM FOR app.mood LANGUAGE plsample (FROM SQL WITH FUNCTION app.to_internal(internal));

-- foreign data
CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (a 'it''s', "B c" '2');
CREATE SERVER "far away" TYPE 't' VERSION '1' FOREIGN DATA WRAPPER wrapper OPTIONS (host 'x');
CREATE USER MAPPING FOR alice SERVER "far away" OPTIONS (password 's''ecret');
CREATE USER MAPPING FOR PUBLIC SERVER "far away";
CREATE FOREIGN TABLE app.remote (id int OPTIONS (c 'n') NOT NULL, v text DEFAULT 'x', CHECK (id > 0)) SERVER "far away" OPTIONS (t 'tt');
GRANT USAGE ON FOREIGN SERVER "far away" TO alice;

-- tables
CREATE TABLE app.customers (
  id serial PRIMARY KEY,
  name text NOT NULL DEFAULT E'x''\\y' COLLATE "C",
  "odd "" col" int,
  mood app.mood DEFAULT 'sad',
  pair app.pair,
  amount app.positive,
  twice numeric GENERATED ALWAYS AS (amount * 2) STORED,
  attributes app.hstore,
  email citext UNIQUE DEFERRABLE INITIALLY DEFERRED,
  dropped int,
  created timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
  CONSTRAINT "named ""check" CHECK (name <> 'bad') NO INHERIT,
  CONSTRAINT late CHECK (id > -1) NOT VALID
);
ALTER TABLE app.customers DROP COLUMN dropped;
ALTER TABLE app.customers ALTER name SET STATISTICS 500, ALTER name SET STORAGE EXTERNAL, ALTER name SET (n_distinct = -0.5);
ALTER TABLE app.customers SET (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE app.customers OWNER TO alice;
CREATE TABLE app.orders (
  id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 CYCLE MAXVALUE 100000000) PRIMARY KEY,
  customer int NOT NULL REFERENCES app.customers ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE,
  during tstzrange,
  total numeric(12, 2),
  line int GENERATED BY DEFAULT AS IDENTITY,
  EXCLUDE USING gist (customer WITH =, during WITH &&) WHERE (total > 0)
) WITH (fillfactor = 90);
ALTER TABLE app.orders CLUSTER ON orders_pkey;
ALTER TABLE app.orders REPLICA IDENTITY FULL;
CREATE UNLOGGED TABLE app.unlogged (a int) USING heap2;
INSERT INTO app.unlogged SELECT generate_series(1, 10);
CREATE TABLE app.typed OF app.pair (a NOT NULL, PRIMARY KEY (a));
CREATE TABLE app.nothing ();
INSERT INTO app.nothing DEFAULT VALUES;
INSERT INTO app.nothing DEFAULT VALUES;
CREATE TABLE app.only_generated (g int GENERATED ALWAYS AS (1) STORED);
INSERT INTO app.only_generated DEFAULT VALUES;
CREATE TABLE app.parent (a int NOT NULL DEFAULT 1, b text DEFAULT 'p', CHECK (a > 0));
CREATE TABLE app.child (c int, CHECK (c > 1)) INHERITS (app.parent);
ALTER TABLE app.child ALTER b DROP DEFAULT, ALTER a SET DEFAULT 7, ALTER b SET NOT NULL;
CREATE TABLE app.grandchild (d int) INHERITS (app.parent, app.customers);
INSERT INTO app.child VALUES (1, 'b', 2);
INSERT INTO app.parent VALUES (5, 'p');
\if :v16
CREATE TABLE app.doubled (a int, g int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE app.fourfold (a int, g int GENERATED ALWAYS AS (a * 4) STORED);
CREATE TABLE app.of_both (g int GENERATED ALWAYS AS (a * 2) STORED) INHERITS (app.doubled, app.fourfold);
INSERT INTO app.of_both VALUES (3);
\endif
\if :v18
CREATE TABLE app.later (a int);
INSERT INTO app.later VALUES (NULL);
ALTER TABLE app.later ADD CONSTRAINT later_a NOT NULL a NOT VALID;
CREATE TABLE app.of_later () INHERITS (app.later);
COMMENT ON CONSTRAINT later_a ON app.later IS 'not yet';
\endif
CREATE TABLE app.events (id int, at date NOT NULL, kind app.mood, note text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE app.events_2025 (note text, id int NOT NULL, kind app.mood, at date NOT NULL, gone int);
ALTER TABLE app.events_2025 DROP COLUMN gone;
ALTER TABLE app.events ATTACH PARTITION app.events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.events_2026 PARTITION OF app.events (note DEFAULT 'here') FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (id);
CREATE TABLE app.events_2026_one PARTITION OF app.events_2026 FOR VALUES IN (1, 2);
CREATE TABLE app.events_rest PARTITION OF app.events DEFAULT;
CREATE INDEX events_kind ON app.events (kind) INCLUDE (note);
CREATE INDEX events_2026_only ON ONLY app.events_2026 (note);
CREATE TABLE app.moods (m app.mood, n int) PARTITION BY HASH (m);
CREATE TABLE app.moods_0 PARTITION OF app.moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.moods_1 PARTITION OF app.moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO app.moods SELECT m, n FROM unnest(enum_range(NULL::app.mood)) m, generate_series(1, 3) n;
INSERT INTO app.events VALUES (1, '2025-05-05', 'sad', 'a'), (2, '2026-05-05', NULL, 'b'), (3, '1999-01-01', 'happy', E'\\.');
CREATE TABLE "odd ""na'me$$
line"."Tab.le/%" ("a\b" int PRIMARY KEY, "ü
x" text, "select" "char");
INSERT INTO "odd ""na'me$$
line"."Tab.le/%" VALUES (1, E'\\.\n\\.', 'x'), (2, '', NULL), (3, E'\t\b\f\v\r\\N', '');
COMMENT ON TABLE "odd ""na'me$$
line"."Tab.le/%" IS E'\n\\! echo owned\n';
COMMENT ON COLUMN "odd ""na'me$$
line"."Tab.le/%"."ü
x" IS 'ü';

-- circles
CREATE TABLE app.circle (a int);
CREATE FUNCTION app.of_row(app.circle) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1.a $$;
ALTER TABLE app.circle ADD CHECK (app.of_row(circle.*) > 0);
CREATE FUNCTION app.fresh() RETURNS int LANGUAGE sql AS $$ SELECT count(*)::int FROM app.circle $$;
ALTER TABLE app.circle ALTER a SET DEFAULT app.fresh();
INSERT INTO app.circle VALUES (4);
CREATE VIEW app.ring AS SELECT 1 AS a, 'x'::text COLLATE "C" AS b;
CREATE FUNCTION app.of_ring() RETURNS app.ring LANGUAGE sql AS $$ SELECT 1, 'x' $$;
CREATE OR REPLACE VIEW app.ring AS SELECT a, b FROM app.of_ring();
CREATE VIEW app.one AS SELECT 1 AS a;
CREATE VIEW app.two AS SELECT a FROM app.one;
CREATE DOMAIN app.checked AS int;
CREATE FUNCTION app.check_it(app.checked) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT $1::int > 0 $$;
ALTER DOMAIN app.checked ADD CHECK (app.check_it(VALUE));
CREATE TABLE app.left_side (id int PRIMARY KEY, r int);
CREATE TABLE app.right_side (id int PRIMARY KEY, l int REFERENCES app.left_side);
INSERT INTO app.left_side VALUES (1, 1);
INSERT INTO app.right_side VALUES (1, 1);
ALTER TABLE app.left_side ADD FOREIGN KEY (r) REFERENCES app.right_side NOT VALID;

-- views
\if :v15
CREATE VIEW app.totals WITH (security_barrier = true, security_invoker = true) AS SELECT customer, sum(total) AS total FROM app.orders GROUP BY customer;
\else
CREATE VIEW app.totals WITH (security_barrier = true) AS SELECT customer, sum(total) AS total FROM app.orders GROUP BY customer;
\endif
CREATE VIEW app.checked_view AS SELECT id, name FROM app.customers WHERE id > 0 WITH LOCAL CHECK OPTION;
ALTER VIEW app.checked_view ALTER name SET DEFAULT 'from view';
CREATE VIEW app.by_key AS SELECT c.id, c.name, c.mood, count(o.id) AS n FROM app.customers c LEFT JOIN app.orders o ON o.customer = c.id GROUP BY c.id;
CREATE VIEW app.on_by_key AS SELECT max(n) AS n FROM app.by_key;
CREATE RECURSIVE VIEW app.numbers (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < 5;
CREATE MATERIALIZED VIEW app.summary WITH (fillfactor = 60) AS SELECT customer, count(*) AS n FROM app.orders GROUP BY customer;
CREATE MATERIALIZED VIEW app.above AS SELECT max(n) AS n FROM app.summary;
CREATE MATERIALIZED VIEW app.a_first AS SELECT * FROM app.above WITH DATA;
CREATE MATERIALIZED VIEW app.empty AS SELECT 1 AS a WITH NO DATA;
CREATE UNIQUE INDEX ON app.summary (customer);
ALTER MATERIALIZED VIEW app.summary ALTER n SET STATISTICS 42;
ALTER TABLE app.summary REPLICA IDENTITY FULL;
ALTER TABLE app.empty REPLICA IDENTITY NOTHING;
COMMENT ON MATERIALIZED VIEW app.summary IS 'kept';
CREATE VIEW app.no_columns AS SELECT;

-- indexes and statistics
CREATE INDEX "in""dex" ON app.customers USING btree (lower(name) text_pattern_ops DESC NULLS LAST, (id + 1)) WITH (fillfactor = 50) WHERE mood IS NOT NULL;
ALTER INDEX app."in""dex" ALTER COLUMN 2 SET STATISTICS 77;
COMMENT ON INDEX app."in""dex" IS 'an index';
CREATE INDEX brin ON app.orders USING brin (id) WITH (pages_per_range = 4);
CREATE UNIQUE INDEX customers_ident ON app.customers (id, name) ;
ALTER TABLE app.customers REPLICA IDENTITY USING INDEX customers_ident;
\if :v15
CREATE UNIQUE INDEX nulls ON app.customers (email) NULLS NOT DISTINCT;
\endif
CREATE STATISTICS app.stats (ndistinct, mcv) ON name, mood FROM app.customers;
ALTER STATISTICS app.stats SET STATISTICS 33;
\if :v14
CREATE STATISTICS app.expressions ON (id + 1), (lower(name)) FROM app.customers;
\endif
COMMENT ON STATISTICS app.stats IS 'together';
COMMENT ON CONSTRAINT orders_pkey ON app.orders IS 'the key';
COMMENT ON CONSTRAINT orders_customer_fkey ON app.orders IS 'the reference';
COMMENT ON CONSTRAINT late ON app.customers IS 'later';

-- rules, triggers, policies
CREATE RULE nothing AS ON INSERT TO app.totals DO INSTEAD NOTHING;
CREATE RULE also AS ON UPDATE TO app.circle WHERE new.a > 10 DO ALSO (INSERT INTO app.nothing DEFAULT VALUES; DELETE FROM app.nothing);
ALTER TABLE app.circle DISABLE RULE also;
COMMENT ON RULE nothing ON app.totals IS 'a rule';
CREATE FUNCTION app.trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER "tr""ig" BEFORE INSERT OR UPDATE OF name ON app.customers FOR EACH ROW WHEN (new.name <> '') EXECUTE FUNCTION app.trigger('a', 'it''s');
CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON app.customers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.trigger();
CREATE TRIGGER st AFTER UPDATE ON app.orders REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION app.trigger();
CREATE TRIGGER vt INSTEAD OF INSERT ON app.by_key FOR EACH ROW EXECUTE FUNCTION app.trigger();
CREATE TRIGGER ev AFTER INSERT ON app.events FOR EACH ROW EXECUTE FUNCTION app.trigger();
ALTER TABLE app.events_2025 DISABLE TRIGGER ev;
ALTER TABLE app.customers ENABLE ALWAYS TRIGGER ct;
ALTER TABLE app.orders ENABLE REPLICA TRIGGER st;
COMMENT ON TRIGGER ev ON app.events IS 'a trigger';
ALTER TRIGGER st ON app.orders DEPENDS ON EXTENSION hstore;
ALTER TABLE app.customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.customers FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON app.customers AS RESTRICTIVE FOR UPDATE TO alice, "bob-ß" USING (id > 1) WITH CHECK (name <> 'x');
CREATE POLICY q ON app.customers FOR SELECT USING (true);
COMMENT ON POLICY q ON app.customers IS 'open';
CREATE FUNCTION app.event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER et ON ddl_command_end WHEN TAG IN ('CREATE SEQUENCE', 'DROP CAST') EXECUTE FUNCTION app.event();
ALTER EVENT TRIGGER et ENABLE ALWAYS;

-- publications and subscriptions
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert, delete');
\if :v15
CREATE PUBLICATION several FOR TABLE app.orders (id, total) WHERE (total > 5), TABLE ONLY app.parent WITH (publish_via_partition_root = true);
CREATE PUBLICATION schemas FOR TABLES IN SCHEMA "odd ""na'me$$
line", TABLE app.circle;
ALTER PUBLICATION several OWNER TO alice_super;
\else
CREATE PUBLICATION several FOR TABLE app.orders, ONLY app.parent WITH (publish_via_partition_root = true);
ALTER PUBLICATION several OWNER TO alice_super;
\endif
\if :v14
CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere password=''x y''' PUBLICATION a, "B" WITH (connect = false, slot_name = NONE, binary = true);
\else
CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere password=''x y''' PUBLICATION a, "B" WITH (connect = false, slot_name = NONE);
\endif

-- sequences and large objects
CREATE SEQUENCE app.down AS smallint INCREMENT -3 MINVALUE -300 MAXVALUE 30 START 30 CACHE 2 CYCLE;
SELECT nextval('app.down'), nextval('app.down');
CREATE SEQUENCE app.fresh_sequence START 42;
CREATE SEQUENCE app.owned OWNED BY app.circle.a;
SELECT lo_from_bytea(90001, decode(repeat('00ff10', 200000), 'hex'));
SELECT lo_create(90002);
SELECT lo_put(90003, 500000, '\x01') FROM lo_create(90003);
ALTER LARGE OBJECT 90001 OWNER TO alice;
GRANT SELECT ON LARGE OBJECT 90001 TO "bob-ß";
COMMENT ON LARGE OBJECT 90001 IS 'large';

-- privileges
GRANT ALL ON SCHEMA app TO alice WITH GRANT OPTION;
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT SELECT, INSERT ON app.orders TO alice WITH GRANT OPTION;
SET SESSION AUTHORIZATION alice;
GRANT SELECT ON app.orders TO "bob-ß";
RESET SESSION AUTHORIZATION;
GRANT UPDATE (total), SELECT (id) ON app.orders TO PUBLIC;
REVOKE ALL ON app.parent FROM postgres;
GRANT SELECT ON app.parent TO postgres, "bob-ß";
GRANT USAGE ON SEQUENCE app.down TO alice;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO alice;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO alice;
REVOKE SELECT ON pg_catalog.pg_stat_activity FROM PUBLIC;
REVOKE ALL ON LANGUAGE sql FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE alice GRANT SELECT ON TABLES TO "bob-ß";
ALTER DEFAULT PRIVILEGES FOR ROLE alice REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE alice IN SCHEMA app GRANT USAGE ON SEQUENCES TO "bob-ß" WITH GRANT OPTION;

-- rows
INSERT INTO app.customers (name, "odd "" col", mood, pair, amount, attributes, email)
  SELECT 'customer ' || i, nullif(i % 7, 3), (enum_range(NULL::app.mood))[i % 5 + 1], (i, E'"q,(\\' || i, ARRAY['sad', NULL]::app.mood[])::app.pair,
    i + 0.125, app.hstore('k' || i, E'v"\\'), i || '@example.org' FROM generate_series(1, 500) i;
INSERT INTO app.orders (customer, during, total) SELECT i % 500 + 1, tstzrange(to_timestamp(i * 100), to_timestamp(i * 100 + 50), '[)'), i / 7.0 FROM generate_series(1, 2000) i;
CREATE TABLE app.values AS SELECT i AS id, i % 2 = 0 AS bool, i::int2 AS int2, i::int8 * 1e15::int8 AS int8,
  CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' WHEN 4 THEN '-0' ELSE (random() * 1e300)::text END::float8 AS float8,
  CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '16777217' ELSE random()::text END::float4 AS float4,
  CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN :'endless' ELSE i || '1234567890123456789.000000000000000000000001' || i END::numeric AS numeric,
  CASE i WHEN 1 THEN '' WHEN 2 THEN '\.' WHEN 3 THEN NULL WHEN 4 THEN '\N' WHEN 5 THEN E'a\nb\r\n\tc\\' ELSE repeat(chr(256 + i), i) END AS text,
  ('x' || i)::bpchar(9) AS bpchar, ('v' || i)::varchar(9) AS varchar, ('n' || i)::name AS name, chr(64 + i % 60)::"char" AS "char",
  decode(md5(i::text), 'hex') AS bytea, CASE i WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN '0044-03-15 BC' ELSE (date '2000-01-01' + i)::text END::date AS date,
  CASE i WHEN 1 THEN 'infinity' WHEN 2 THEN '4713-01-01 BC' ELSE (timestamp '1999-12-31 23:59:59.999999' + i * interval '1 hour')::text END::timestamp AS timestamp,
  CASE i WHEN 1 THEN '-infinity' ELSE to_timestamp(i * 1e7 + 0.000001)::text END::timestamptz AS timestamptz,
  make_time(i % 24, i % 60, 1.5) AS time, (i % 24 || ':00:00+05:30')::timetz AS timetz, make_interval(i, -i, 0, i, -i, 0, 0.000001) AS interval,
  ('08:00:2b:01:02:' || lpad(to_hex(i % 256), 2, '0'))::macaddr AS macaddr, ('08:00:2b:01:02:03:04:' || lpad(to_hex(i % 256), 2, '0'))::macaddr8 AS macaddr8,
  ('10.0.0.' || i % 256)::inet AS inet, '10.1.0.0/16'::cidr AS cidr, md5(i::text)::uuid AS uuid, i::bit(9) AS bit, i::bit(9)::varbit AS varbit,
  ('{"a": "\u00e9\\", "n": ' || i || '}')::json AS json, ('{"b": [null, ' || i || ', 1e400]}')::jsonb AS jsonb,
  point(i, -i) AS point, line(point(0, 0), point(1, i + 1)) AS line, lseg(point(0, i), point(1, 1)) AS lseg, box(point(i, 1), point(2, 3)) AS box,
  '[(0,0),(1,1)]'::path AS path, '((0,0),(1,1),(1,0))'::polygon AS polygon, circle(point(0, 0), i) AS circle,
  to_tsvector('english', 'the quick ' || i) AS tsvector, 'a & (b | !c:*)'::tsquery AS tsquery,
  int4range(i, i + 5) AS int4range, '(,)'::numrange AS numrange, 'empty'::daterange AS daterange, :multirange AS multirange,
  ARRAY[ARRAY[i, NULL], ARRAY[1, 2]] AS ints, '[0:1]={"a,b","\"q\\"}'::text[] AS texts, ARRAY[(1, 'x', NULL)::app.pair] AS pairs, '{}'::date[] AS dates,
  'pg_class'::regclass AS regclass, 'app.mood'::regtype AS regtype, 'int4pl'::regproc AS regproc, '$1,234.56'::money AS money, '16/B374D848'::pg_lsn AS lsn,
  '10:20:10,14'::pg_snapshot AS snapshot, i::oid AS oid, '$.a[*] ? (@ > 1)'::jsonpath AS jsonpath, ROW(1, NULL, '{}')::app.pair AS pair, 'r'::app.raw AS raw
  FROM generate_series(1, 100) i;
INSERT INTO app.values (id) VALUES (1000);
DO $$ BEGIN ALTER TABLE app.values ADD x xml; UPDATE app.values SET x = '<a b="1">&amp;</a>'; EXCEPTION WHEN feature_not_supported THEN NULL; END $$;
CREATE TABLE app.wide (id int, t text, b bytea);
INSERT INTO app.wide SELECT i, repeat(md5(i::text), 300000), decode(repeat(md5(i::text), 30000), 'hex') FROM generate_series(1, 3) i;
REFRESH MATERIALIZED VIEW app.summary;
REFRESH MATERIALIZED VIEW app.above;
REFRESH MATERIALIZED VIEW app.a_first;
