//! Which threads take subnormal numbers for zero, as far as each could be asked.
//!
//! The setting is a register of each thread, which nobody else can read while the thread sleeps. So every thread that runs
//! Python looks at its own whenever Python raises an audit event, which takes a nanosecond; it is noted when it has changed,
//! and at the first event after a library was loaded.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use diaphane_forks::ProcessLock;
use diaphane_sight::proc::resource_usage::flushes_subnormals;

/// What a thread's register said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloatMode {
    pub flushes: bool,
    /// When, among all such looks and loads.
    pub at: u64,
}

static MODES: ProcessLock<HashMap<i32, FloatMode>> = ProcessLock::new(HashMap::new);
static MOMENT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static OWN: OwnMode = const { OwnMode { last: Cell::new(false), is_loading: Cell::new(false) } };
}

/// What is known of the calling thread.
struct OwnMode {
    last: Cell<bool>,
    is_loading: Cell<bool>,
}

impl Drop for OwnMode {
    /// The next thread of this number has loaded nothing of what this one did.
    fn drop(&mut self) {
        if let Some(mode) = MODES.lock().get_mut(&own()) {
            *mode = FloatMode {
                flushes: false,
                at: moment(),
            };
        }
    }
}

/// Looks at the register of the calling thread.
pub(super) fn look() {
    let now = flushes_subnormals();
    // A thread that is about to end has no such variables any more.
    let is_news = OWN.try_with(|thread| {
        let has_changed = thread.last.replace(now) != now;
        thread.is_loading.replace(false) || has_changed
    });
    if is_news.unwrap_or(false) {
        note(now);
    }
}

/// The calling thread is about to load a library: its number, and when.
pub(super) fn begin_load() -> (i32, u64) {
    // What is noted now is older than the load, and says at the thread's end that it was there.
    note(flushes_subnormals());
    let _ = OWN.try_with(|thread| thread.is_loading.set(true));
    (own(), moment())
}

fn note(flushes: bool) {
    let mode = FloatMode {
        flushes,
        at: moment(),
    };
    MODES.lock().insert(own(), mode);
}

/// What the register of a thread said last, if it was ever looked at.
pub(crate) fn last(tid: i32) -> Option<FloatMode> {
    MODES.lock().get(&tid).copied()
}

fn moment() -> u64 {
    MOMENT.fetch_add(1, Ordering::Relaxed)
}

fn own() -> i32 {
    nix::unistd::gettid().as_raw()
}
