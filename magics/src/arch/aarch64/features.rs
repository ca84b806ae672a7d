//! What this very processor can do, which nothing asks yet.

/// Not known.
pub fn has(_name: &str) -> bool {
    false
}

/// Not known.
pub fn vector_level() -> Option<usize> {
    None
}
