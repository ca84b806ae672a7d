//! MurmurHash2, 32 bits: the hash by which front ends and kernels name a cell's file without asking each other.
//!
//! It tells cells apart; it protects nothing.

const MULTIPLIER: u32 = 0x5bd1_e995;

/// The hash of these bytes.
#[must_use]
pub fn murmur2(bytes: &[u8], seed: u32) -> u32 {
    // The algorithm takes the length modulo 2^32.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "as the algorithm defines it"
    )]
    let mut hash = seed ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ word.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_that_front_ends_compute() {
        let seed = 0xc70f_6907;
        let hashes = [
            ("", 3_990_065_800),
            ("a", 2_167_009_006),
            ("ab", 2_805_137_849),
            ("abc", 3_350_977_461),
            ("abcd", 804_720_481),
            ("print(1)\n", 3_089_598_676),
            ("größe = 'π'", 816_657_522),
        ];
        for (code, hash) in hashes {
            assert_eq!(murmur2(code.as_bytes(), seed), hash, "{code:?}");
        }
    }
}
