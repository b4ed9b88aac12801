//! LZF, as Redis compresses strings (`lzf_d.c` of `LibLZF`).

/// A compressed byte stands for at most this many: three bytes can say "repeat 264".
const RATIO: usize = 264;

/// Appends the `size` bytes that `packed` stands for; says `false`, with anything appended, if it does not.
///
/// Memory grows with what the packed bytes really stand for, whatever `size` claims.
pub(super) fn decompress(packed: &[u8], size: usize, into: &mut Vec<u8>) -> bool {
    if size > packed.len().saturating_mul(RATIO) {
        return false;
    }
    let start = into.len();
    into.reserve(size.min(1 << 20));
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
