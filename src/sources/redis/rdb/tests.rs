#[test]
fn the_checksum_is_the_one_of_redis() {
    assert_eq!(super::crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
}
