//! Records of a pax extended header: `LENGTH KEY=VALUE\n`, where LENGTH counts itself.

use crate::package::member::Time;

/// Appends one record.
pub(super) fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Space, `=`, newline.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + digits(rest);
    if rest + digits(length) != length {
        length = rest + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Splits the records of an extended header. `None` in place of a record: malformed, and there is no going on.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let record = split(bytes);
        bytes = record.map_or(&[][..], |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)))
    })
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

/// A decimal number without sign.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A time as pax writes it: decimal seconds with a fraction, negative before 1970.
pub(super) fn time_text(time: Time) -> String {
    if time.nanos == 0 {
        return time.seconds.to_string();
    }
    if time.seconds >= 0 {
        return format!("{}.{:09}", time.seconds, time.nanos);
    }
    // Seconds are rounded down and nanoseconds count up; the text counts away from zero.
    format!("-{}.{:09}", (time.seconds + 1).unsigned_abs(), 1_000_000_000 - time.nanos)
}

/// Reads what [`time_text`] writes, with any number of digits; beyond nanoseconds is cut off.
pub(super) fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let nanos = match parts.next() {
        None | Some([]) => 0,
        Some(fraction) => {
            if !fraction.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let digit = |at: usize| fraction.get(at).map_or(0, |byte| u32::from(byte - b'0'));
            (0..9).fold(0, |nanos, at| nanos * 10 + digit(at))
        }
    };
    Some(match (negative, nanos) {
        (false, nanos) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos },
        (true, nanos) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_themselves() {
        for size in (0..200).chain(900..1_100).chain(9_900..10_050) {
            let mut out = Vec::new();
            push(&mut out, b"key", &vec![b'x'; size]);
            let mut records = records(&out);
            let (key, value) = records.next().unwrap().unwrap();
            assert_eq!((key, value.len()), (&b"key"[..], size));
            assert_eq!(records.next(), None);
            let space = out.iter().position(|b| *b == b' ').unwrap();
            assert_eq!(decimal(&out[..space]), Some(out.len() as u64));
        }
    }

    #[test]
    fn times_before_1970_count_away_from_zero() {
        let minus = Time { seconds: -2, nanos: 500_000_000 };
        assert_eq!(time_text(minus), "-1.500000000");
        assert_eq!(time(b"-1.5"), Some(minus));
        assert_eq!(time(b"-0.25"), Some(Time { seconds: -1, nanos: 750_000_000 }));
        assert_eq!(time_text(Time { seconds: -1, nanos: 750_000_000 }), "-0.250000000");
        assert_eq!(time(b"12.0000000019"), Some(Time { seconds: 12, nanos: 1 }));
        assert_eq!(time(b"x"), None);
        assert_eq!(time(b""), None);
        let least = Time { seconds: i64::MIN + 1, nanos: 0 };
        assert_eq!(time(time_text(least).as_bytes()), Some(least));
    }

    #[test]
    fn malformed_records_end_the_iteration() {
        for bytes in
            [&b"5 a=b\n"[..], b"99 a=b\n", b"x a=b\n", b"6 a=bc", b"4 ab", b"3 \n", b"0 ", b"1", b" a=b\n"]
        {
            assert!(records(bytes).any(|record| record.is_none()), "{bytes:?}");
            assert!(records(bytes).count() <= 2);
        }
    }
}
