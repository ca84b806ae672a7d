//! What the process as a whole uses: alone in a program of its own, where no other test uses anything.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use diaphane_sight::proc::resource_usage::{ResourceUsage, huge};

#[test]
fn memory_that_is_written_is_counted() {
    const SIZE: usize = 64 << 20;
    let before = ResourceUsage::now();
    let memory = std::hint::black_box(vec![1u8; SIZE]);
    let after = ResourceUsage::now();
    let grown = |field: fn(&ResourceUsage) -> Option<u64>| {
        field(&after)
            .unwrap()
            .saturating_sub(field(&before).unwrap())
    };
    let least = (SIZE - (8 << 20)) as u64;
    assert!(grown(|resources| resources.rss) > least);
    assert!(grown(|resources| resources.anonymous) > least);
    assert!(after.minor_faults > before.minor_faults);
    assert!(after.cpu_ns >= before.cpu_ns && memory.len() == SIZE);
    assert!(huge().is_some());
}
