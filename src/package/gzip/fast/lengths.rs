//! Huffman codes of limited length: the lengths by the frequencies, and the codes by the lengths.

/// The most symbols of an alphabet of deflate.
pub(super) const SYMBOLS: usize = 288;

/// The lengths of an optimal code for the frequencies, shortened to `limit` where it would be longer.
///
/// At least two symbols get a code, because some inflaters refuse a code of one.
pub(super) fn limited(frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut sorted = [(0_u32, 0_usize); SYMBOLS];
    let mut used = 0;
    for (symbol, frequency) in frequencies.iter().enumerate().filter(|(_, frequency)| **frequency > 0) {
        sorted[used] = (*frequency, symbol);
        used += 1;
    }
    if used < 2 {
        let only = if used == 1 { sorted[0].1 } else { 0 };
        lengths[only] = 1;
        lengths[usize::from(only == 0)] = 1;
        return;
    }
    let sorted = &mut sorted[..used];
    sorted.sort_unstable();
    let mut counts = depths(sorted, limit);
    shorten(&mut counts, limit);
    let mut rarest_first = sorted.iter();
    for length in (1..=limit).rev() {
        for (_, symbol) in rarest_first.by_ref().take(counts[length]) {
            // A limit is at most 15.
            lengths[*symbol] = u8::try_from(length).unwrap_or(u8::MAX);
        }
    }
}

/// How many leaves of the Huffman tree are how deep; what is deeper than `limit` counts as that deep.
fn depths(sorted: &[(u32, usize)], limit: usize) -> [usize; 16] {
    let leaves = sorted.len();
    let root = 2 * leaves - 2;
    let mut weights = [0_u32; 2 * SYMBOLS];
    let mut parents = [0_usize; 2 * SYMBOLS];
    for (weight, (frequency, _)) in weights.iter_mut().zip(sorted) {
        *weight = *frequency;
    }
    // Inner nodes arise in the order of their weights, so the lightest node is the first of one of two queues.
    let (mut leaf, mut inner) = (0, leaves);
    for next in leaves..=root {
        for _ in 0..2 {
            let lightest = if leaf < leaves && (inner == next || weights[leaf] <= weights[inner]) {
                &mut leaf
            } else {
                &mut inner
            };
            weights[next] += weights[*lightest];
            parents[*lightest] = next;
            *lightest += 1;
        }
    }
    let mut depths = [0_usize; 2 * SYMBOLS];
    let mut counts = [0; 16];
    for node in (0..root).rev() {
        depths[node] = depths[parents[node]] + 1;
        if node < leaves {
            counts[depths[node].min(limit)] += 1;
        }
    }
    counts
}

/// Makes codes of these lengths possible again: moves leaves down until the code is complete (Kraft's sum is one).
fn shorten(counts: &mut [usize; 16], limit: usize) {
    let mut sum: usize = (1..=limit).map(|length| counts[length] << (limit - length)).sum();
    while sum > 1 << limit {
        let Some(length) = (1..limit).rev().find(|length| counts[*length] > 0) else { return };
        counts[length] -= 1;
        counts[length + 1] += 2;
        counts[limit] -= 1;
        sum -= 1;
    }
}

/// The codes of these lengths (RFC 1951, 3.2.2), their bits in the order of the stream.
pub(super) fn codes<const N: usize>(lengths: &[u8; N]) -> [u16; N] {
    let mut next = [0_u16; 17];
    for length in lengths.iter().filter(|length| **length > 0) {
        next[usize::from(*length) + 1] += 1;
    }
    for length in 1..17 {
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    lengths.map(|length| {
        if length == 0 {
            return 0;
        }
        let code = &mut next[usize::from(length)];
        *code += 1;
        (*code - 1).reverse_bits() >> (16 - length)
    })
}
