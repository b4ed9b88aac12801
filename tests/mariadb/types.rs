//! Values of every type with their extremes, and every byte that a charset has.

use crate::dumped::{dump, only};
use crate::shared::{both_ways, source_server};

/// Everything that a number, a time or a string can be.
const EXTREMES: &str = include_str!("types.sql");

#[tokio::test(flavor = "multi_thread")]
async fn every_type_with_its_extremes() {
    let server = source_server();
    let members: Vec<String> = (0..64).map(|at| format!("'m{at}'")).collect();
    let sql = EXTREMES.replace("A64", &members.join(","));
    server.sql(&format!("CREATE DATABASE types CHARACTER SET utf8mb4; USE types; {sql}"));
    let dumped = dump(only(server, "types")).await.unwrap();
    both_ways(server, &dumped, &["types"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_random_rows() {
    let server = source_server();
    let sql = include_str!("generated.sql");
    server.sql(&format!(
        "SET NAMES utf8mb4; CREATE DATABASE random_rows; USE random_rows; SET sql_mode = ''; {sql}"
    ));
    let dumped = dump(only(server, "random_rows")).await.unwrap();
    assert_eq!(dumped.objects["random_rows.generated"].rows, 3000);
    both_ways(server, &dumped, &["random_rows"]).await;
}

/// Every character of every charset, as bytes: all single bytes, and all pairs of bytes where pairs mean something.
#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_every_charset() {
    let server = source_server();
    server.sql("CREATE DATABASE charsets");
    let charsets = server.sql("SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME NOT IN ('binary', 'filename')");
    let mut sql = "USE charsets; SET sql_mode = '';".to_owned();
    for line in charsets.lines() {
        let (charset, longest) = line.split_once('\t').unwrap();
        sql.push_str(&format!(
            "CREATE TABLE {charset} (id INT PRIMARY KEY, v VARBINARY(20), t VARCHAR(20) CHARACTER SET {charset}, e ENUM('a', 'b') CHARACTER SET {charset});\
             INSERT IGNORE INTO {charset} SELECT seq, CHAR(seq), CONVERT(CHAR(seq) USING {charset}), 1 + seq % 2 FROM seq_0_to_255;\
             INSERT IGNORE INTO {charset} SELECT 256 + seq, NULL, CONVERT(CONVERT(CHAR(seq USING ucs2) USING utf8mb4) USING {charset}), NULL FROM seq_0_to_65535 WHERE seq % 7 = 0 OR seq < 1024;"
        ));
        if longest != "1" {
            // The charset's own bytes, well-formed or not: what is not is kept out by the server.
            sql.push_str(&format!(
                "ALTER TABLE {charset} MODIFY t VARBINARY(20);\
                 UPDATE IGNORE {charset} SET t = v WHERE id < 256;\
                 INSERT INTO {charset} SELECT 100000 + seq, NULL, UNHEX(LPAD(HEX(seq), 4, '0')), NULL FROM seq_33024_to_65535 WHERE seq % 3 = 0;\
                 DELETE FROM {charset} WHERE CONVERT(t USING {charset}) <> t OR HEX(CONVERT(CONVERT(CONVERT(t USING {charset}) USING utf8mb4) USING {charset})) = HEX('?');\
                 ALTER IGNORE TABLE {charset} MODIFY t VARCHAR(20) CHARACTER SET {charset};"
            ));
        }
    }
    server.sql(&sql);
    let dumped = dump(only(server, "charsets")).await.unwrap();
    both_ways(server, &dumped, &["charsets"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_column_above_sixteen_mebibytes_ends_no_table() {
    let server = source_server();
    server.sql(
        "CREATE DATABASE wide; CREATE TABLE wide.t (b LONGBLOB, id INT PRIMARY KEY, s LONGTEXT); \
         INSERT INTO wide.t VALUES ('first', 1, ''), (REPEAT('x', 17 << 20), 2, ''), (REPEAT(0xFE, 16777214), 3, ''), (0xFE, 4, REPEAT('é', 9 << 20)), ('last', 5, '')",
    );
    let dumped = dump(only(server, "wide")).await.unwrap();
    assert_eq!(dumped.objects["wide.t"].rows, 5);
    both_ways(server, &dumped, &["wide"]).await;
}

/// A column without NULL that is added gives the rows that are there an empty geometry, which no server takes.
#[tokio::test(flavor = "multi_thread")]
async fn empty_geometries_come_back() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE nowhere; USE nowhere; CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (3, 3), (4, 4); \
         ALTER TABLE t ADD g POINT NOT NULL AFTER id, ADD h GEOMETRY; INSERT INTO t VALUES (2, POINT(1, 2), 2, POINT(3, 4))",
    );
    assert_eq!(from.sql("SELECT COUNT(*) FROM nowhere.t WHERE LENGTH(g) = 0").trim(), "3", "the control");
    let dumped = dump(only(from, "nowhere")).await.unwrap();
    assert_eq!(dumped.objects["nowhere.t"].rows, 4);
    both_ways(from, &dumped, &["nowhere"]).await;
}
