//! `%%native_prof`: where a cell spends its time, in Python and in native code, on every thread.
//!
//! The samples are taken by `diaphane_trace::sampler`; here they get names (`gather`), are added up (`profile`) and drawn
//! (`flame`).

mod export;
mod findings;
mod flame;
mod gather;
mod kinds;
mod profile;
mod summary;

use std::time::Instant;

use diaphane_sight::linker::libraries;
use diaphane_sight::proc::maps::Maps;
use diaphane_trace::sampler::{self, Clock, Plan, Threads};

use self::export::{Format, Wanted};
use self::gather::Gather;
use self::profile::Profile;
use self::summary::{Spent, report, usage};
use crate::error::Error;
use crate::magic::{Context, Form, Magic, User};
use crate::magics::threads::python_names;
use crate::session::cell_body::Body;
use crate::stacks::snapshot::KERNELS;
use diaphane_cpython::interpreter::{Interpreter, begin_above, note_above};
use diaphane_cpython::{check, symbols};
use diaphane_report::Report;

/// No more samples a second.
const FASTEST: u32 = 5000;

/// Which threads are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// All but the kernel's own.
    All,
    /// The one that runs the cell.
    Main,
}

/// Run the cell, and show where its time went: Python and native functions of all threads, by samples.
///
/// Each thread that runs looks at itself 499 times a second. Without --wall or --cpu, a sample stands for time that a
/// thread spends on a CPU or waits for the GIL, and on the thread of the cell for any time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many samples of each thread a second
    #[arg(long, value_name = "N", default_value = "499")]
    hz: u32,
    /// Which threads: all, or main, which runs the cell
    #[arg(long, value_name = "WHICH", default_value = "all")]
    threads: Which,
    /// Also the time in which threads wait
    #[arg(long, conflicts_with = "cpu")]
    wall: bool,
    /// Only the time that threads spend on a CPU
    #[arg(long)]
    cpu: bool,
    /// Write the flame graph to a file too
    #[arg(long, value_name = "FILE")]
    svg: Option<String>,
    /// Write the stacks for speedscope.app too
    #[arg(long, value_name = "FILE")]
    speedscope: Option<String>,
    /// Write collapsed stacks too, one line each
    #[arg(long, value_name = "FILE")]
    collapsed: Option<String>,
    /// Tell the lines of Python functions apart
    #[arg(long)]
    lines: bool,
}

/// The magic.
pub(crate) struct NativeProf;

impl Magic for NativeProf {
    const NAME: &'static str = "native_prof";
    const FORM: Form = Form::Cell;
    type Args = Args;

    fn run(args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let user = context.user()?;
        let settings = args.settings()?;
        let body = Body::prepare(Self::NAME, context.cell.unwrap_or_default(), user)?;
        run(Self::NAME, &settings, &body, user)
    }
}

/// How a cell is sampled.
pub(crate) struct Settings {
    hz: u32,
    clock: Clock,
    threads: Threads,
    lines: bool,
    files: Vec<Wanted>,
}

impl Settings {
    /// As without any option, so many times a second.
    pub(crate) fn at(magic: &str, hz: u32) -> Result<Self, Error> {
        check_hz(magic, "--sample", hz)?;
        Ok(Self {
            hz,
            clock: Clock::Busy,
            threads: Threads::Except(KERNELS),
            lines: false,
            files: Vec::new(),
        })
    }
}

impl Args {
    fn settings(&self) -> Result<Settings, Error> {
        check_hz(NativeProf::NAME, "--hz", self.hz)?;
        let asked = [
            (Format::Svg, &self.svg),
            (Format::Speedscope, &self.speedscope),
            (Format::Collapsed, &self.collapsed),
        ];
        let files: Vec<Wanted> = asked
            .into_iter()
            .filter_map(|(format, path)| {
                let path = path.as_ref()?.into();
                Some(Wanted { format, path })
            })
            .collect();
        for file in &files {
            file.check(NativeProf::NAME)?;
        }
        Ok(Settings {
            hz: self.hz,
            clock: match (self.wall, self.cpu) {
                (true, _) => Clock::Wall,
                (_, true) => Clock::Cpu,
                _ => Clock::Busy,
            },
            threads: match self.threads {
                Which::All => Threads::Except(KERNELS),
                Which::Main => Threads::Main,
            },
            lines: self.lines,
            files,
        })
    }
}

fn check_hz(magic: &str, option: &str, hz: u32) -> Result<(), Error> {
    if (1..=FASTEST).contains(&hz) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "%%{magic}: {option} takes 1 to {FASTEST} samples a second, not {hz}"
    )))
}

/// Runs a cell while it is sampled.
pub(crate) fn run(
    magic: &'static str,
    settings: &Settings,
    body: &Body<'_, '_>,
    user: User<'_, '_>,
) -> Result<Report, Error> {
    check(user.py);
    let file = body.file.to_string();
    let main = nix::unistd::gettid().as_raw();
    begin_above(main);
    let gather = Gather::new(main, &file, settings.lines);
    let plan = plan(settings, main, stack_pointer())?;
    let running = sampler::begin(plan, gather)
        .map_err(|refused| Error::Usage(format!("%%{magic}: {refused}")))?;
    let (started, before) = (Instant::now(), usage());
    let outcome = body.run();
    let (elapsed, after) = (started.elapsed(), usage());
    let ended = user.py.detach(|| running.end());
    outcome?;
    let Some((gather, totals)) = ended else {
        return Err(Error::Usage(format!(
            "%%{magic}: this process is a child of the one that was sampled; the samples are there"
        )));
    };
    let names = python_names(user.py)?;
    let profile = Profile::of(gather, totals, &names);
    let spent = Spent {
        elapsed,
        usage: after.since(before),
    };
    report(magic, settings, &profile, &spent)
}

/// About the caller's stack pointer: everything that the caller calls lies below.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = std::hint::black_box(0_u8);
    (&raw const here).addr()
}

fn plan(settings: &Settings, main: i32, floor: usize) -> Result<Plan, Error> {
    let libraries = libraries::loaded(&Maps::query()?)?;
    Ok(Plan {
        hz: settings.hz,
        clock: settings.clock,
        threads: settings.threads,
        main,
        floor,
        note: note_above,
        arguments: || Interpreter::look().states,
        gil: symbols::runtime(&libraries),
    })
}
