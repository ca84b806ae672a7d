//! The processes below this one while a cell is sampled: they are not, and may be where its time went.

use std::collections::HashSet;
use std::time::Duration;

use super::findings::Usage;
use diaphane_report::view::time;
use diaphane_report::{Diagnosis, Severity};
use diaphane_sight::proc::processes::{ChildrenTime, children_time, descendants};
use diaphane_trace::helper_thread::Helper;

/// How often somebody looks who is there.
const PAUSE: Duration = Duration::from_millis(100);
/// From this share of all CPU time on it is worth a word.
const SHARE: f64 = 0.1;

/// Who was there before the cell, and a thread that sees who comes and goes.
pub(super) struct Children {
    before: ChildrenTime,
    seen: Helper<HashSet<(i32, u64)>>,
}

/// What they used meanwhile.
#[derive(Debug, Default)]
pub(super) struct ChildrenSpent {
    /// Those that were seen and used some, or have ended.
    pub count: usize,
    pub cpu_ns: u64,
    /// Some of those that are still there.
    alive: Vec<i32>,
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
    /// P005: the work was done elsewhere.
    pub fn finding(&self, own: Usage) -> Option<Diagnosis> {
        let own = (own.user + own.system).as_nanos() as f64;
        let used = self.cpu_ns as f64;
        let who = match self.count {
            0 => "Child processes".to_owned(),
            1 => "1 child process".to_owned(),
            many => format!("{many} child processes"),
        };
        let look = match self.alive.first() {
            Some(pid) => format!("diaphane stack {pid} shows what a worker does now; "),
            None => String::new(),
        };
        let numbers: Vec<String> = self.alive.iter().take(8).map(i32::to_string).collect();
        let there = match numbers.is_empty() {
            true => "they have ended".to_owned(),
            false => format!("still there: {}", numbers.join(", ")),
        };
        (used > 0.0 && used >= SHARE * (own + used)).then(|| Diagnosis {
            code: "P005",
            severity: Severity::Warn,
            title: format!(
                "{who} used {} of CPU time that was not sampled.",
                time(used)
            ),
            evidence: vec![
                format!("this process used {}", time(own)),
                there,
            ],
            fix: format!(
                "To see their work, have it done in this process: n_jobs=1, or joblib.parallel_config(backend=\"threading\"), \
                 or a ThreadPoolExecutor; {look}%process_tree lists them."
            ),
        })
    }
}
