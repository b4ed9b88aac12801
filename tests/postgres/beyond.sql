-- What pg_dump loses (a language of built-in functions, members added to built-in operator families), changes (a
-- dropped default two generations down), or breaks up elsewhere than we do (views that read each other).
CREATE TRUSTED LANGUAGE plmine HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator;
CREATE DOMAIN whole AS int;
CREATE FUNCTION smaller(int2, int8) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE OPERATOR <<< (FUNCTION = smaller, LEFTARG = int2, RIGHTARG = int8);
CREATE TYPE mine AS ENUM ('a', 'b');
CREATE FUNCTION mine_hash(mine) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'hashenum';
CREATE FUNCTION mine_same(mine, mine) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'enum_eq';
CREATE OPERATOR ==== (FUNCTION = mine_same, LEFTARG = mine, RIGHTARG = mine, COMMUTATOR = OPERATOR(====), HASHES);
ALTER OPERATOR FAMILY pg_catalog.enum_ops USING hash ADD OPERATOR 1 ==== (mine, mine), FUNCTION 1 (mine, mine) mine_hash(mine);
CREATE TABLE p (a int, b text DEFAULT 'p');
CREATE TABLE c (c int) INHERITS (p);
ALTER TABLE c ALTER b DROP DEFAULT;
CREATE TABLE other (x int);
CREATE TABLE g (d int) INHERITS (c, other);
CREATE VIEW one AS SELECT 1 AS a;
CREATE VIEW two AS SELECT a FROM one;
CREATE OR REPLACE VIEW one AS SELECT 1 AS a WHERE EXISTS (SELECT FROM two) IS NOT NULL;
