//! What happened to the buffers of a cell: born, freed, still alive. Plain data; who calls it is `handler`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How a buffer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AllocationCall {
    /// With any content, as for `np.empty` and for results.
    Malloc,
    /// Filled with zeros, as for `np.zeros`.
    Calloc,
    /// Another buffer grew or shrank, as by `resize`.
    Realloc,
}

impl AllocationCall {
    /// C's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Malloc => "malloc",
            Self::Calloc => "calloc",
            Self::Realloc => "realloc",
        }
    }
}

/// The code that asked for a buffer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Site {
    /// The line of the cell.
    pub line: Option<u32>,
    /// The function that the line called, if it was not the line itself that asked.
    pub through: Option<String>,
}

/// A buffer that is alive.
#[derive(Debug, Clone)]
pub(crate) struct Alive {
    pub bytes: usize,
    pub how: AllocationCall,
    pub site: Site,
    pub born: Duration,
    /// Its place among all that were born.
    pub number: usize,
}

/// What buffers that were freed have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FreedKey {
    pub bytes: usize,
    pub how: AllocationCall,
    pub site: Site,
}

/// Buffers that are gone, alike in everything but address and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Freed {
    pub count: usize,
    /// Of the first one.
    pub address: usize,
    /// Of the first one.
    pub number: usize,
    pub longest: Duration,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    /// Where a buffer begins to be of interest.
    pub least: usize,
    /// Buffers that were left out, being smaller.
    pub smaller: usize,
    pub alive: HashMap<usize, Alive>,
    pub freed: HashMap<FreedKey, Freed>,
    /// Freed buffers beyond the kinds that are told apart.
    pub unlisted: usize,
    /// How many were born.
    pub born: usize,
    /// Bytes of all that were born.
    pub bytes: usize,
    /// Of the largest one.
    pub largest: usize,
    current: usize,
    /// The most bytes that were alive at one time.
    pub peak: usize,
    /// How long it took to take note of all that.
    pub spent: Duration,
}

impl Log {
    /// Beyond so many kinds, freed buffers are only counted.
    const KINDS: usize = 100_000;

    /// Buffers of fewer bytes than `least` are only counted.
    pub fn new(least: usize) -> Self {
        Self {
            started: Instant::now(),
            least,
            smaller: 0,
            alive: HashMap::new(),
            freed: HashMap::new(),
            unlisted: 0,
            born: 0,
            bytes: 0,
            largest: 0,
            current: 0,
            peak: 0,
            spent: Duration::ZERO,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether a buffer of this size is of interest; one that is not is counted here.
    pub fn wants(&mut self, bytes: usize) -> bool {
        let is_small = bytes < self.least;
        self.smaller += usize::from(is_small);
        !is_small
    }

    /// A buffer is there.
    pub fn allocated(&mut self, address: usize, bytes: usize, how: AllocationCall, site: Site) {
        let alive = Alive {
            bytes,
            how,
            site,
            born: self.elapsed(),
            number: self.born,
        };
        self.born += 1;
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
        self.current += bytes;
        self.peak = self.peak.max(self.current);
        self.alive.insert(address, alive);
    }

    /// A buffer is freed, or became another one.
    pub fn death(&mut self, address: usize) {
        let began = Instant::now();
        self.gone(address);
        self.spent += began.elapsed();
    }

    fn gone(&mut self, address: usize) {
        let Some(gone) = self.alive.remove(&address) else {
            return;
        };
        self.current -= gone.bytes;
        let lifetime = self.elapsed().saturating_sub(gone.born);
        let alike = FreedKey {
            bytes: gone.bytes,
            how: gone.how,
            site: gone.site,
        };
        if self.freed.len() >= Self::KINDS && !self.freed.contains_key(&alike) {
            self.unlisted += 1;
            return;
        }
        let freed = self.freed.entry(alike).or_insert(Freed {
            count: 0,
            address,
            number: gone.number,
            longest: Duration::ZERO,
        });
        freed.count += 1;
        freed.longest = freed.longest.max(lifetime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_counted_and_the_peak_is_the_most_at_one_time() {
        let mut log = Log::new(10);
        assert!(!log.wants(9) && log.wants(10) && log.smaller == 1);
        let site = || Site {
            line: Some(2),
            through: None,
        };
        for address in [8, 16, 8] {
            log.allocated(address, 100, AllocationCall::Malloc, site());
            log.death(address);
        }
        log.allocated(8, 100, AllocationCall::Malloc, site());
        log.allocated(16, 50, AllocationCall::Calloc, Site::default());
        log.death(999);
        assert_eq!(
            (log.born, log.bytes, log.largest, log.peak),
            (5, 450, 100, 150)
        );
        assert_eq!(log.alive.len(), 2);
        let freed: Vec<_> = log.freed.values().collect();
        assert_eq!(freed.len(), 1);
        assert_eq!(
            (freed[0].count, freed[0].address, freed[0].number),
            (3, 8, 0)
        );
    }
}
