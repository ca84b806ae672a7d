//! What comes as Rust: cells, which their compiler divides into items and statements before rustc sees them.
//!
//! The compiler is a program in a workspace of its own, so its modules are parts of this crate too.

use crate::items::{are_same, divide, merged, settled};
use crate::nesting::is_too_deep;

/// Two cells with two bytes 0 between them: the later one is given the items of the earlier.
pub fn rust_cell(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (first, second) = text.split_once("\0\0").unwrap_or((&text, ""));
    let mut known = Vec::new();
    for (number, source) in [first, second].into_iter().enumerate() {
        if is_too_deep(source) {
            continue;
        }
        let divided = divide(source, number as u32 + 1, 1);
        // Lines, columns and ranges in messages of rustc's are those of the cell.
        assert_eq!(divided.rest.len(), source.len());
        assert_eq!(divided.rest.lines().count(), source.lines().count());
        if let Some(tail) = divided.tail {
            assert_eq!(source[tail.clone()], divided.rest[tail]);
        }
        for item in &divided.items {
            assert!(source.contains(&item.text));
            let _ = item.known();
        }
        known = settled(merged(&known, &divided.items));
        assert!(are_same(&known, &settled(known.clone())));
    }
}
