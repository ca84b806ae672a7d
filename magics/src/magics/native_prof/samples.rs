//! Samples that are being taken, and what there is of them at the end. Nothing here needs Python.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diaphane_cpython::interpreter::Interpreter;
use diaphane_cpython::symbols;
use diaphane_sight::linker::libraries;
use diaphane_trace::sampler::{self, Clock, RunningSampler, SamplerPlan, Threads, Totals};

use super::diagnoses::Usage;
use super::export::OutputFile;
use super::gather::Gather;
use super::summary::{Spent, usage};
use crate::error::Error;
use crate::recording::children::Children;
use crate::recording::queued::QueuesBefore;
use crate::session::executed_code::{self, Kept};

/// How code is sampled.
pub(super) struct Settings {
    pub hz: u32,
    pub clock: Clock,
    pub threads: Threads,
    pub lines: bool,
    pub repeat: bool,
    pub files: Vec<OutputFile>,
    /// Whether child processes are recorded too.
    pub children: bool,
}

/// Samples that are being taken.
pub(super) struct Samples {
    pub settings: Settings,
    running: RunningSampler<Gather>,
    children: Children,
    queues: QueuesBefore,
    executed: Kept,
    /// How often it was looked at so far.
    looks: Arc<AtomicU64>,
    started: Instant,
    before: Usage,
}

/// Samples that were taken.
pub(super) struct TakenSamples {
    pub settings: Settings,
    pub gather: Gather,
    pub totals: Totals,
    pub spent: Spent,
}

/// What a thread notes about itself when a sample of it is taken.
pub(super) type Note = fn(usize, &mut [usize]) -> usize;

impl Samples {
    /// Begins. Calls of the main thread that end at or above `floor` are not looked at.
    pub fn begin(
        settings: Settings,
        gather: Gather,
        (floor, note): (usize, Note),
    ) -> Result<Self, Error> {
        let looks = gather.looks();
        let main = gather.main;
        let plan = plan(&settings, main, (floor, note))?;
        let children = Children::begin();
        let running = sampler::begin(plan, gather)
            .map_err(|refused| Error::Usage(format!("%%native_prof: {refused}")))?;
        Ok(Self {
            settings,
            running,
            children,
            queues: QueuesBefore::look(main),
            executed: executed_code::keep(),
            looks,
            started: Instant::now(),
            before: usage(),
        })
    }

    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends, and waits for the threads that helped. Nothing was taken in the child of a fork. What was executed meanwhile is
    /// freed where the first value is dropped, best with the GIL.
    pub fn end(self) -> (Kept, Option<TakenSamples>) {
        let (elapsed, after) = (self.started.elapsed(), usage());
        let queued = self.queues.end();
        let Self {
            settings,
            running,
            children,
            executed,
            before,
            ..
        } = self;
        let (ended, children) = (running.end(), children.end());
        let taken = ended.map(|(gather, totals)| TakenSamples {
            settings,
            gather,
            totals,
            spent: Spent {
                elapsed,
                queued,
                usage: after.since(before),
                children,
                runs: 1,
                failed: false,
            },
        });
        (executed, taken)
    }
}

fn plan(
    settings: &Settings,
    main: i32,
    (floor, note): (usize, Note),
) -> Result<SamplerPlan, Error> {
    let libraries = libraries::now()?;
    Ok(SamplerPlan {
        hz: settings.hz,
        clock: settings.clock,
        threads: settings.threads,
        main,
        floor,
        note,
        arguments: || Interpreter::look().states,
        gil: symbols::runtime(&libraries),
    })
}
