//! How long threads waited for a CPU while something ran: on a busy machine that is where the time goes, and no line of the
//! code is to blame for it.

use std::collections::HashMap;
use std::time::Duration;

use diaphane_report::view::time;
use diaphane_sight::threads::{Task, is_own_thread, tasks};

/// It is told from so much on.
const LEAST: Duration = Duration::from_millis(100);

/// What the threads had waited when the code began.
pub(crate) struct QueuesBefore {
    main: i32,
    waited: HashMap<i32, u64>,
}

/// How long it was.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Queued {
    /// The thread of the code.
    pub main: Duration,
    /// All of the user's that are still there.
    pub all: Duration,
}

impl QueuesBefore {
    pub fn look(main: i32) -> Self {
        Self {
            main,
            waited: waited(),
        }
    }

    pub fn end(&self) -> Queued {
        let now = waited();
        let since = |tid: &i32, now: u64| {
            let before = self.waited.get(tid).copied().unwrap_or(0);
            Duration::from_nanos(now.saturating_sub(before))
        };
        Queued {
            main: now
                .get(&self.main)
                .map_or(Duration::ZERO, |now| since(&self.main, *now)),
            all: now.iter().map(|(tid, now)| since(tid, *now)).sum(),
        }
    }
}

impl Queued {
    /// What is to be known first, where it was a third of the time.
    pub fn sentence(&self, elapsed: Duration) -> Option<String> {
        let (who, waited) = match () {
            () if self.main > elapsed / 3 => ("The thread of the cell", self.main),
            () if self.all > elapsed / 2 => ("The threads", self.all),
            () => return None,
        };
        let told = |duration: Duration| time(duration.as_nanos() as f64);
        (waited > LEAST).then(|| {
            format!(
                "{who} waited {} for a CPU, in the {} that it took: other programs had them, or there are more threads than \
                 CPUs.",
                told(waited),
                told(elapsed)
            )
        })
    }
}

fn waited() -> HashMap<i32, u64> {
    let tasks = tasks().unwrap_or_default().into_iter();
    let users = tasks.filter(|task| !is_own_thread(task.tid));
    users
        .filter_map(|task| Some((task.tid, Task::new(task.tid).run()?.queued_ns)))
        .collect()
}
