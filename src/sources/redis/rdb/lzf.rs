//! LZF, as Redis compresses strings (`lzf_d.c` of `LibLZF`).

/// A compressed byte stands for at most this many: three bytes can say "repeat 264".
const RATIO: usize = 264;

/// What is unpacked into memory that is taken at once.
const AT_ONCE: usize = 1 << 20;

/// Bytes behind the unpacked ones, for copies of a fixed length, which are much faster than those of the right one.
const SLACK: usize = 32;

/// The length of such copies within what is unpacked.
const STRIDE: usize = 16;

/// Appends the `size` bytes that `packed` stands for; says `false`, with anything appended, if it does not.
///
/// Memory grows with what the packed bytes really stand for, whatever `size` claims.
pub(super) fn decompress(packed: &[u8], size: usize, into: &mut Vec<u8>) -> bool {
    if size > packed.len().saturating_mul(RATIO) {
        return false;
    }
    let start = into.len();
    if size <= AT_ONCE {
        into.resize(start + size + SLACK, 0);
        let sound = fill(packed, &mut into[start..], size);
        into.truncate(start + size);
        return sound;
    }
    into.reserve(AT_ONCE);
    let mut at = 0;
    while let Some(&control) = packed.get(at) {
        at += 1;
        let control = usize::from(control);
        if control < 32 {
            let Some(literal) = packed.get(at..at + control + 1) else { return false };
            into.extend_from_slice(literal);
            at += control + 1;
        } else {
            let mut length = control >> 5;
            if length == 7 {
                let Some(&more) = packed.get(at) else { return false };
                length += usize::from(more);
                at += 1;
            }
            let Some(&low) = packed.get(at) else { return false };
            at += 1;
            let back = ((control & 0x1F) << 8 | usize::from(low)) + 1;
            let Some(from) = into.len().checked_sub(back).filter(|from| *from >= start) else { return false };
            copy_within(into, from, length + 2);
        }
        if into.len() - start > size {
            return false;
        }
    }
    into.len() - start == size
}

/// Fills `out`, which has room for `size` bytes and [`SLACK`], and says whether that came out even.
fn fill(packed: &[u8], out: &mut [u8], size: usize) -> bool {
    let (mut at, mut to) = (0, 0);
    while let Some(&control) = packed.get(at) {
        at += 1;
        let control = usize::from(control);
        if control < 32 {
            let count = control + 1;
            if to + count > size {
                return false;
            }
            if let Some(more) = packed.get(at..at + SLACK) {
                out[to..to + SLACK].copy_from_slice(more);
            } else {
                let Some(literal) = packed.get(at..at + count) else { return false };
                out[to..to + count].copy_from_slice(literal);
            }
            at += count;
            to += count;
            continue;
        }
        let mut count = (control >> 5) + 2;
        if count == 9 {
            let Some(&more) = packed.get(at) else { return false };
            count += usize::from(more);
            at += 1;
        }
        let Some(&low) = packed.get(at) else { return false };
        at += 1;
        let back = ((control & 0x1F) << 8 | usize::from(low)) + 1;
        if back > to || to + count > size {
            return false;
        }
        let from = to - back;
        if back >= STRIDE {
            // No copy reads what it writes, and the last ends within the slack.
            for done in (0..count).step_by(STRIDE) {
                out.copy_within(from + done..from + done + STRIDE, to + done);
            }
        } else {
            for done in 0..count {
                out[to + done] = out[from + done];
            }
        }
        to += count;
    }
    to == size
}

/// Appends `count` bytes from `from` on, which may run into the bytes being appended.
fn copy_within(into: &mut Vec<u8>, from: usize, count: usize) {
    let mut left = count;
    while left > 0 {
        let some = left.min(into.len() - from);
        into.extend_from_within(from..from + some);
        left -= some;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repeats() {
        let mut out = b"before".to_vec();
        // "ab", then 10 bytes from 2 back, then "c".
        let packed = [1, b'a', b'b', 7 << 5, 1, 1, 0, b'c'];
        assert!(decompress(&packed, 13, &mut out));
        assert_eq!(out, b"beforeabababababab c".iter().filter(|b| **b != b' ').copied().collect::<Vec<_>>());
    }

    /// Every distance and length, and literals at the very end: as the slow way unpacks them.
    #[test]
    fn copies_of_a_fixed_length_change_nothing() {
        let text: Vec<u8> = (0..=255).collect();
        let mut packed = Vec::new();
        let literal = |packed: &mut Vec<u8>, bytes: &[u8]| {
            for piece in bytes.chunks(32) {
                packed.push(u8::try_from(piece.len() - 1).unwrap());
                packed.extend_from_slice(piece);
            }
        };
        let mut expected = Vec::new();
        literal(&mut packed, &text);
        expected.extend_from_slice(&text);
        for back in 1..=60_usize {
            for count in [3, 4, 8, 9, 15, 16, 17, 31, 32, 33, 100, 264] {
                let (high, low) = ((back - 1) >> 8, (back - 1) & 0xFF);
                let length = if count < 9 { count - 2 } else { 7 };
                packed.push(u8::try_from(length << 5 | high).unwrap());
                if count >= 9 {
                    packed.push(u8::try_from(count - 9).unwrap());
                }
                packed.push(u8::try_from(low).unwrap());
                let from = expected.len() - back;
                copy_within(&mut expected, from, count);
            }
            literal(&mut packed, &text[..back]);
            expected.extend_from_slice(&text[..back]);
        }
        let mut out = Vec::new();
        assert!(decompress(&packed, expected.len(), &mut out));
        assert!(out == expected);
        for cut in 0..packed.len() {
            let mut out = Vec::new();
            assert!(!decompress(&packed[..cut], expected.len(), &mut out), "cut at {cut}");
        }
        let large: Vec<u8> = text.iter().copied().cycle().take(AT_ONCE + 5).collect();
        let mut packed = Vec::new();
        literal(&mut packed, &large);
        let mut out = Vec::new();
        assert!(decompress(&packed, large.len(), &mut out) && out == large);
    }

    #[test]
    fn what_does_not_hold_together_is_refused() {
        let refused = |packed: &[u8], size| !decompress(packed, size, &mut Vec::new());
        assert!(refused(&[1, b'a'], 2), "a literal beyond the end");
        assert!(refused(&[1, b'a', b'b'], 3), "too short");
        assert!(refused(&[1, b'a', b'b'], 1), "too long");
        assert!(refused(&[32, 0], 3), "a repeat from before the beginning");
        assert!(refused(&[0, b'a'], usize::MAX), "a size that cannot be");
    }
}
