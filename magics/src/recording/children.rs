//! The processes below this one while a cell is watched: they are not, and may be where its time went.

use std::collections::HashSet;
use std::time::Duration;

use diaphane_sight::proc::processes::{ChildrenTime, children_time, descendants};
use diaphane_trace::helper_thread::Helper;

/// How often somebody looks who is there.
const PAUSE: Duration = Duration::from_millis(100);

/// Who was there before the cell, and a thread that sees who comes and goes.
pub(crate) struct Children {
    before: ChildrenTime,
    seen: Helper<HashSet<(i32, u64)>>,
}

/// What they used meanwhile.
#[derive(Debug, Default)]
pub(crate) struct ChildrenSpent {
    /// Those that were seen and used some, or have ended.
    pub count: usize,
    pub cpu_ns: u64,
    /// Some of those that are still there.
    pub alive: Vec<i32>,
}

impl Children {
    pub fn begin() -> Self {
        Self {
            before: children_time(),
            seen: Helper::begin("diaphane-child", |shift| {
                let mut seen = HashSet::new();
                while shift.goes_on(PAUSE) {
                    seen.extend(descendants());
                }
                seen
            }),
        }
    }

    pub fn end(self) -> ChildrenSpent {
        let after = children_time();
        let seen = self.seen.end().unwrap_or_default();
        let used = after.since(&self.before);
        let ended = seen.iter().filter(|one| !after.alive.contains_key(one));
        let mut alive: Vec<i32> = used.alive.keys().map(|(pid, _)| *pid).collect();
        alive.sort_unstable();
        ChildrenSpent {
            count: alive.len() + if used.ended > 0 { ended.count() } else { 0 },
            cpu_ns: used.alive.values().sum::<u64>() + used.ended,
            alive,
        }
    }
}

impl ChildrenSpent {
    /// How many, as the beginning of a sentence.
    pub fn who(&self) -> String {
        match self.count {
            0 => "Child processes".to_owned(),
            1 => "1 child process".to_owned(),
            many => format!("{many} child processes"),
        }
    }
}
