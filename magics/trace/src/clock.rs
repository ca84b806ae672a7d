//! The processor's time stamp counter, and how many of its ticks make a nanosecond.
//!
//! Reading it takes a few nanoseconds, where the C library's clock takes twenty and more. Both are read at the beginning
//! and at the end of a recording, which gives the factor for this recording.

use std::time::Instant;

pub use crate::arch::clock::ticks;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The counter.
    pub ticks: u64,
    instant: Instant,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            ticks: ticks(),
            instant: Instant::now(),
        }
    }
}

/// The ticks between two moments as nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    nanoseconds_per_tick: f64,
}

impl Scale {
    /// The scale that holds between two moments; they should be as far apart as possible.
    #[must_use]
    pub fn between(from: Moment, to: Moment) -> Self {
        let elapsed = to.instant.duration_since(from.instant).as_nanos() as f64;
        let ticks = to.ticks.saturating_sub(from.ticks).max(1) as f64;
        Self {
            nanoseconds_per_tick: elapsed / ticks,
        }
    }

    /// So many ticks in nanoseconds.
    #[must_use]
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        (ticks as f64 * self.nanoseconds_per_tick).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let from = Moment::now();
        let mut to = Moment::now();
        while to.instant.duration_since(from.instant).as_millis() < 2 {
            to = Moment::now();
        }
        let scale = Scale::between(from, to);
        let elapsed = scale.nanoseconds(to.ticks - from.ticks);
        assert!((1_900_000..1_000_000_000).contains(&elapsed), "{elapsed}");
    }
}
