//! `%%monitor`: shows below the cell what the process does while it runs, and leaves a summary; `%monitor` does so for some
//! seconds.
//!
//! A thread of ours looks ten times a second and takes no GIL, so it goes on while native code has that. Its picture is an
//! output that is replaced; at the end nothing is left of it, and the report is shown where those of all magics are, so
//! that every front end shows it, and a stored notebook has no picture of what is no more.

mod chart;
mod columns;
mod picture;
mod record;
mod summary;

use std::time::{Duration, Instant};

use diaphane_report::{Report, Schema};
use diaphane_sight::threads::is_own_thread;
use diaphane_trace::helper_thread::{Helper, Shift};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use self::picture::Pictures;
use self::record::Record;
use self::summary::Watched;
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User, Way};
use crate::python::threads::thread_names;
use crate::recording::live_display::OpenedDisplay;
use crate::stacks::monitor::{Monitor, note_thread_names};
use diaphane_cpython::support;

/// How often it is looked.
const STEP: Duration = Duration::from_millis(100);
/// No stacks are taken more often.
const SAMPLE: Duration = Duration::from_millis(500);
/// How often Ctrl-C is heard.
const PIECE: Duration = Duration::from_millis(50);
/// How often the picture may change, and for how long a line may watch, in seconds.
const EVERY: [f64; 2] = [0.25, 60.0];
const SECONDS: [f64; 2] = [0.25, 600.0];

/// Run the cell, and show meanwhile what the process does: CPUs, memory, the GIL and its threads; then a summary over time.
///
/// The picture below the cell goes on while native code has the GIL. On a line, %monitor 10 watches for 10 seconds what
/// goes on in the background; an interrupt ends that early. What is left in the notebook is the summary.
#[derive(Debug, clap::Args)]
pub(crate) struct MonitorArgs {
    /// For how long to watch, 0.25 to 600; above a cell it is watched to its end
    #[arg(value_name = "SECONDS", allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Change the picture every S seconds, 0.25 to 60
    #[arg(
        long,
        value_name = "S",
        default_value = "0.5",
        allow_negative_numbers = true
    )]
    every: f64,
}

/// The magic.
pub(crate) struct MonitorMagic;

impl Magic for MonitorMagic {
    const NAME: &'static str = "monitor";
    const FORM: Form = Form::LineOrCell;
    const QUESTIONS: Questions = &[
        ("What does a cell do while it runs, and does it hang?", "%%"),
        (
            "What goes on in the background for the next 10 seconds?",
            "10",
        ),
    ];
    const RECORDS: bool = true;
    const CHANGES: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = MonitorArgs;

    /// It takes as long as the user said.
    fn only_looks(_args: &MonitorArgs) -> bool {
        false
    }

    fn begin(
        args: &MonitorArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        if args.seconds.is_some() {
            return Err(Error::Usage(
                "%%monitor watches its cell to the end; SECONDS are for %monitor on one line"
                    .into(),
            ));
        }
        let every = within("%%monitor: --every", args.every, EVERY)?;
        let subject = match (&code.home, code.way) {
            (Some(home), Way::Module { .. }) => format!("{home} has run"),
            (None, Way::Module { .. }) => "The cell has run".to_owned(),
            (_, Way::Block | Way::Process) => "The block has run".to_owned(),
        };
        Ok(Box::new(Watching::begin(subject, every, context)?))
    }

    fn run(args: &MonitorArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let Some(seconds) = args.seconds else {
            return Err(Error::Usage(
                "%monitor needs the number of SECONDS for which to watch, as in %monitor 10; above a cell write %%monitor"
                    .into(),
            ));
        };
        let seconds = within("%monitor: SECONDS", seconds, SECONDS)?;
        let every = within("%monitor: --every", args.every, EVERY)?;
        if is_own_thread(nix::unistd::gettid().as_raw()) {
            return Err(Error::Usage(
                "%monitor shows its picture below a cell: write it in one; from outside, ask for `threads --sample 500`".into(),
            ));
        }
        let user = context.user()?;
        let watching = Watching::begin("The process was watched".into(), every, context)?;
        let ended = watching.wait(user.py, seconds)?;
        watching.report(user, Watched::Line { ended })
    }
}

/// The name of the thread that looks.
const THREAD: &str = "diaphane-live";

/// A number of seconds that the user gave.
fn within(what: &str, seconds: f64, [least, most]: [f64; 2]) -> Result<Duration, Error> {
    match (least..=most).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(Error::Usage(format!(
            "{what} takes {least} to {most} seconds, not {seconds}"
        ))),
    }
}

/// The thread that looks.
struct Watching {
    helper: Option<Helper<Record>>,
    started: Instant,
    limits: Vec<String>,
    process: u32,
}

impl Watching {
    fn begin(subject: String, every: Duration, context: &Context<'_, '_>) -> Result<Self, Error> {
        let user = context.user()?;
        note_thread_names(user.py);
        let display = OpenedDisplay::open(user.py);
        let needs_gil = display.as_ref().is_some_and(|display| display.needs_gil);
        let limit = "the picture changed only when the GIL was free, since the kernel here is another one, whose IPython \
                     has to show it";
        let tid = nix::unistd::gettid().as_raw();
        let mut looking = Looking {
            record: Record::default(),
            monitor: Monitor::of(tid),
            pictures: Pictures::new(subject, tid, every),
            display,
        };
        // What the first look reads of libraries stays in memory, which is no doing of the code.
        let looked = user.py.detach(|| {
            let first = Helper::begin(THREAD, move |_| {
                let _ = looking.monitor.look(looking.record.epoch, None, true, true);
                looking
            });
            first.end()
        });
        let helper = looked.map(|mut looking| {
            user.py.detach(|| {
                Helper::begin(THREAD, move |shift| {
                    looking.watch(shift);
                    looking.record
                })
            })
        });
        Ok(Self {
            helper,
            started: Instant::now(),
            process: std::process::id(),
            limits: needs_gil
                .then(|| limit.to_owned())
                .into_iter()
                .chain(support())
                .collect(),
        })
    }

    /// Waits while others run. Whether it was for the whole time: an interrupt ends it.
    fn wait(&self, py: Python<'_>, time: Duration) -> Result<bool, Error> {
        while let Some(left) = time.checked_sub(self.started.elapsed()) {
            py.detach(|| std::thread::sleep(PIECE.min(left)));
            match py.check_signals() {
                Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => return Ok(false),
                checked => checked?,
            }
        }
        Ok(true)
    }

    /// What was seen; nothing is shown any more.
    fn end(&mut self, py: Python<'_>) -> Option<Record> {
        let helper = self.helper.take()?;
        // It may wait for the GIL, to show something.
        py.detach(|| helper.end())
    }

    fn report(mut self, user: User<'_, '_>, watched: Watched) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        let record = self.end(user.py);
        if self.process != std::process::id() {
            // A child that goes on behind the cell: what is watched, and tells of it, is its parent.
            return Ok(Report {
                name: MonitorMagic::NAME,
                columns: columns::COLUMNS,
                quiet: true,
                ..Report::default()
            });
        }
        let Some(mut record) = record else {
            return Err(Error::Usage(
                "%monitor: no thread could be started to look".into(),
            ));
        };
        record.name(&thread_names(user.py)?);
        let limits = std::mem::take(&mut self.limits);
        summary::report(&record, watched, elapsed, limits)
    }
}

impl Recording for Watching {
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        self.report(user, Watched::Code(code.way))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.helper.is_some() {
            Python::try_attach(|py| self.end(py));
        }
    }
}

/// What the thread has.
struct Looking {
    record: Record,
    monitor: Monitor,
    pictures: Pictures,
    display: Option<OpenedDisplay>,
}

impl Looking {
    fn watch(&mut self, shift: &Shift) {
        let (mut shown, mut sampled): (Option<Instant>, Option<Instant>) = (None, None);
        self.look(false);
        while shift.goes_on(STEP) {
            let is_due = |last: Option<Instant>, pause| {
                // A look that comes a little early is no reason to leave a picture out.
                last.is_none_or(|last| last.elapsed() + STEP / 2 >= pause)
            };
            let samples = is_due(sampled, SAMPLE);
            if samples {
                sampled = Some(Instant::now());
            }
            self.look(samples);
            if is_due(shown, self.pictures.every) {
                shown = Some(Instant::now());
                self.show();
            }
        }
        self.look(false);
        self.display = None;
    }

    fn look(&mut self, samples: bool) {
        // What cannot be seen now may be seen the next time.
        let Ok(moment) = self.monitor.look(self.record.epoch, None, samples, samples) else {
            return;
        };
        self.record.add(&moment);
        if moment.wants_names
            && let Some(display) = &self.display
        {
            display.ask_for_names();
        }
    }

    fn show(&mut self) {
        if let Some(display) = &self.display {
            let (page, last) = self.pictures.next(&self.record);
            display.show(&page, &last);
        }
    }
}
