//! What is counted for the process as a whole: in a program of its own, where no other test allocates meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Mutex, PoisonError};

use diaphane_sight::proc::resource_usage::{ResourceUsage, huge};
use diaphane_sight::runtimes::malloc::{self, Malloc};

/// Runs one of these tests, and no other one meanwhile.
fn alone(test: impl FnOnce()) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    test();
}

#[test]
fn freed_blocks_are_free() {
    alone(|| {
        let blocks: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 50_000]).collect();
        let before = Malloc::read().unwrap();
        // Every second one, so that none can go back to the system.
        let kept: Vec<Vec<u8>> = blocks.into_iter().step_by(2).collect();
        let after = Malloc::read().unwrap();
        assert!(
            after.free() >= before.free() + 499 * 50_000 && after.free() <= after.system(),
            "{before:?} {after:?}"
        );
        drop(kept);
    });
}

#[test]
fn what_is_free_can_be_given_back() {
    alone(|| {
        let blocks: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 50_000]).collect();
        let kept: Vec<Vec<u8>> = blocks.into_iter().step_by(2).collect();
        let before = ResourceUsage::now().rss.unwrap();
        malloc::give_back();
        let given = before.saturating_sub(ResourceUsage::now().rss.unwrap());
        assert!(given > 400 * 40_000, "{given} bytes");
        assert!(kept.iter().flatten().all(|byte| *byte == 1));
    });
}

#[test]
fn memory_that_is_written_is_counted() {
    const SIZE: usize = 64 << 20;
    alone(|| {
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
    });
}
