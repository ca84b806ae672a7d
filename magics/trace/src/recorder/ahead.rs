//! Has the system give the logs' memory ahead of those who write there: a page costs as much as fifty events, and would
//! be paid for by the function that happens to run.

use std::time::Duration;

use super::writer::populate;
use crate::helper_thread::Helper;

/// Between two looks; a thread that does nothing but events fills some megabytes in that time.
const PAUSE: Duration = Duration::from_micros(500);

/// It goes on until this is dropped. A thread that is faster waits for its memory itself.
#[derive(Debug)]
#[must_use]
pub struct Ahead(#[expect(dead_code, reason = "it ends when it is dropped")] Helper<()>);

impl Ahead {
    /// Begins, for the recording that runs.
    pub fn begin() -> Self {
        Self(Helper::begin("diaphane-room", |shift| {
            while shift.goes_on(PAUSE) {
                populate();
            }
        }))
    }
}
