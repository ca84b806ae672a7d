//! What malloc holds free: alone in a program of its own, where no other test's thread allocates, or ends, meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use diaphane_sight::proc::resource_usage::ResourceUsage;
use diaphane_sight::runtimes::glibc_malloc::{self, Malloc};

#[test]
fn freed_blocks_are_free_and_can_be_given_back() {
    let blocks: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 50_000]).collect();
    let before = Malloc::read().unwrap();
    // Every second one, so that none can go back to the system by itself.
    let kept: Vec<Vec<u8>> = blocks.into_iter().step_by(2).collect();
    let after = Malloc::read().unwrap();
    assert!(
        after.free() >= before.free() + 499 * 50_000 && after.free() <= after.system(),
        "{before:?} {after:?}"
    );
    let resident = ResourceUsage::now().rss.unwrap();
    glibc_malloc::give_back();
    let given = resident.saturating_sub(ResourceUsage::now().rss.unwrap());
    assert!(given > 400 * 40_000, "{given} bytes");
    assert!(kept.iter().flatten().all(|byte| *byte == 1));
}
