//! Watches over the logs while a recording runs. It has the system give their memory ahead of those who write there: a
//! page costs as much as fifty events, and would be paid for by the function that happens to run. And it ends the
//! recording before the cell when there is more than a report could be made of in the time that the cell takes.

use std::time::{Duration, Instant};

use super::pause;
use super::writer::populate;
use crate::helper_thread::Helper;

/// Between two looks; a thread that does nothing but events fills some megabytes in that time.
const PAUSE: Duration = Duration::from_micros(500);

/// How many events all threads together may write before the recording pauses: the longer the cell has run, the more.
#[derive(Debug, Clone, Copy)]
pub struct EventAllowance {
    /// In any case.
    pub at_least: usize,
    /// For each millisecond besides.
    pub per_ms: usize,
    /// In no case.
    pub at_most: usize,
}

impl EventAllowance {
    fn after(self, elapsed: Duration) -> usize {
        let more = (elapsed.as_millis() as usize).saturating_mul(self.per_ms);
        self.at_least.saturating_add(more).min(self.at_most)
    }
}

/// It goes on until this is dropped. A thread that is faster waits for its memory itself.
#[derive(Debug)]
#[must_use]
pub struct Ahead(#[expect(dead_code, reason = "it ends when it is dropped")] Helper<()>);

impl Ahead {
    /// Begins, for the recording that runs; without an allowance that never pauses.
    pub fn begin(allowance: Option<EventAllowance>) -> Self {
        let began = Instant::now();
        Self(Helper::begin("diaphane-room", move |shift| {
            while shift.goes_on(PAUSE) {
                let events = populate();
                if allowance.is_some_and(|allowance| events > allowance.after(began.elapsed())) {
                    pause();
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_grows_up_to_its_end() {
        let allowance = EventAllowance {
            at_least: 10,
            per_ms: 2,
            at_most: 100,
        };
        let after = |ms| allowance.after(Duration::from_millis(ms));
        assert_eq!([after(0), after(5), after(1000)], [10, 20, 100]);
    }
}
