//! What this very processor can do.

use std::is_x86_feature_detected as has_feature;

/// Whether it has a feature, by Rust's name for it; one that is not listed here is none.
pub fn has(name: &str) -> bool {
    match name {
        "avx" => has_feature!("avx"),
        "avx2" => has_feature!("avx2"),
        "avx512bitalg" => has_feature!("avx512bitalg"),
        "avx512bw" => has_feature!("avx512bw"),
        "avx512cd" => has_feature!("avx512cd"),
        "avx512dq" => has_feature!("avx512dq"),
        "avx512f" => has_feature!("avx512f"),
        "avx512fp16" => has_feature!("avx512fp16"),
        "avx512vbmi2" => has_feature!("avx512vbmi2"),
        "avx512vl" => has_feature!("avx512vl"),
        "avx512vpopcntdq" => has_feature!("avx512vpopcntdq"),
        "bmi1" => has_feature!("bmi1"),
        "bmi2" => has_feature!("bmi2"),
        "f16c" => has_feature!("f16c"),
        "fma" => has_feature!("fma"),
        "gfni" => has_feature!("gfni"),
        "lzcnt" => has_feature!("lzcnt"),
        "movbe" => has_feature!("movbe"),
        "popcnt" => has_feature!("popcnt"),
        "sse4.1" => has_feature!("sse4.1"),
        "sse4.2" => has_feature!("sse4.2"),
        "vaes" => has_feature!("vaes"),
        _ => false,
    }
}

/// How wide its vectors are, in OpenBLAS's steps: 1 has AVX, 2 AVX2, 3 AVX-512; `None` where they are not known.
pub fn vector_level() -> Option<usize> {
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    Some(if all(&["avx512f", "avx512dq", "avx512bw", "avx512vl"]) {
        3
    } else if all(&["avx2", "fma"]) {
        2
    } else {
        usize::from(has("avx"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_needs_its_features() {
        assert_eq!(vector_level() >= Some(1), has("avx"));
        assert!(!has("no such feature"));
    }
}
