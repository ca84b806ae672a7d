//! `%%native_prof`: where a cell spends its time, in Python and in native code, on every thread.
//!
//! The samples are taken by `diaphane_trace::sampler`; here they get names (`gather`), are added up (`profile`) and drawn
//! (`flame`).

mod answer;
mod children;
mod columns;
mod comm;
mod diagnoses;
mod export;
mod flame;
mod frames;
mod gather;
mod kinds;
mod marks;
mod profile;
mod rest_of_cell;
mod sampled;
mod samples;
mod slow_lines;
mod source;
mod summary;

use std::time::Duration;

use diaphane_trace::sampler::{Clock, Threads};

use self::export::{Format, OutputFile};
use self::gather::Gather;
use self::profile::Profile;
pub use self::rest_of_cell::{ProfileRefused, ProfileState, begin, end, profile_state};
use self::samples::{Samples, Settings};
use self::summary::{Profiled, report};
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User, Way};
use crate::python::threads::thread_names;
use crate::recording::recorded_children::WithChildren;
use crate::recording::sample_rate;
use diaphane_cpython::check;
use diaphane_cpython::interpreter::{begin_above, begin_at_all, note_above};
use diaphane_report::{Report, Schema};

/// With --repeat the cell runs until it was looked at so often, or for so long.
const MANY: u64 = 200;
const LONGEST: Duration = Duration::from_secs(60);

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
/// thread spends on a CPU or waits for the GIL, and on the thread of the cell for any time. On one line, before a
/// statement, it runs that and all that it does until there are enough samples, as %timeit does.
#[derive(Debug, clap::Args)]
pub(crate) struct NativeProfArgs {
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
    /// Count each line of a Python function by itself
    #[arg(long)]
    lines: bool,
    /// Run the cell, and all that it does, until there are 200 samples of it, for a minute at the most; its last value is shown once. A block or a function of a program runs once
    #[arg(long)]
    repeat: bool,
    /// Show once more what the panel of JupyterLab has profiled, the rest of a cell that ran; nothing is run
    #[arg(long, conflicts_with_all = ["hz", "threads", "wall", "cpu", "lines"])]
    last: bool,
    /// Record child processes too: forks, and each Python that is started and has diaphane
    #[arg(long)]
    children: bool,
}

/// The magic.
pub(crate) struct NativeProf;

impl Magic for NativeProf {
    const NAME: &'static str = "native_prof";
    const FORM: Form = Form::LineOrCell;
    const STATEMENT: Option<&'static str> = Some("--repeat");
    const QUESTIONS: Questions = &[
        ("Why is my cell slow: where does its time go?", "%%"),
        ("Which lines take the time?", "%% --lines"),
        ("What does my cell wait for?", "%% --wall"),
        ("What do its child processes do?", "%% --children"),
    ];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = NativeProfArgs;

    fn only_looks(args: &NativeProfArgs) -> bool {
        args.last
    }

    fn run(args: &NativeProfArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        match args.last {
            true => rest_of_cell::report(args.settings()?, context),
            false => Err(Error::Usage(
                "%native_prof needs a statement behind it, as in %native_prof f(x); above a cell write %%native_prof"
                    .into(),
            )),
        }
    }

    fn begin(
        args: &NativeProfArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        if args.last {
            return Err(Error::Usage(
                "--last shows what was profiled already, and records nothing: write %native_prof --last on one line"
                    .into(),
            ));
        }
        let settings = args.settings()?;
        let own = Box::new(Sampled::begin(settings, code, user)?);
        match args.children {
            true => WithChildren::begin(own, user, Self::NAME, &args.for_children()),
            false => Ok(own),
        }
    }
}

impl NativeProfArgs {
    /// What stands on the line, for children: they run once, and write no files.
    fn for_children(&self) -> Vec<String> {
        let flags = [
            ("wall", self.wall),
            ("cpu", self.cpu),
            ("lines", self.lines),
        ];
        let flags = flags.iter().filter(|(_, is_set)| *is_set);
        let threads = match self.threads {
            Which::All => "all",
            Which::Main => "main",
        };
        let values = [format!("--hz={}", self.hz), format!("--threads={threads}")];
        let flags = flags.map(|(name, _)| format!("--{name}"));
        values.into_iter().chain(flags).collect()
    }

    fn settings(&self) -> Result<Settings, Error> {
        sample_rate::check(NativeProf::NAME, "--hz", self.hz)?;
        let asked = [
            (Format::Svg, &self.svg),
            (Format::Speedscope, &self.speedscope),
            (Format::Collapsed, &self.collapsed),
        ];
        let files: Vec<OutputFile> = asked
            .into_iter()
            .filter_map(|(format, path)| {
                let path = path.as_ref()?.into();
                Some(OutputFile { format, path })
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
                Which::All => Threads::Users,
                Which::Main => Threads::Main,
            },
            lines: self.lines,
            repeat: self.repeat,
            files,
            children: self.children,
        })
    }
}

/// A cell or a block that is being sampled.
struct Sampled(Samples);

impl Sampled {
    fn begin(settings: Settings, code: &RecordedCode, user: User<'_, '_>) -> Result<Self, Error> {
        check(user.py);
        let main = nix::unistd::gettid().as_raw();
        match code.way {
            Way::Module { .. } => begin_above(main),
            Way::Block | Way::Process => begin_at_all(),
        }
        let file = code.file.bind(user.py).to_string();
        let mut gather = Gather::new(main, &file, settings.lines);
        gather.way = Some(code.way);
        let begun = user
            .py
            .detach(|| Samples::begin(settings, gather, (code.floor(), note_above)));
        begun.map(Self)
    }
}

impl Recording for Sampled {
    fn wants_more(&self) -> bool {
        let Self(samples) = self;
        samples.settings.repeat && samples.looks() < MANY && samples.elapsed() < LONGEST
    }

    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        ran: Ran,
    ) -> Result<Report, Error> {
        let Self(samples) = *self;
        let (_executed, taken) = user.py.detach(|| samples.end());
        let Some(taken) = taken else {
            return Err(Error::Usage(
                "%%native_prof: this process is a child of the one that was sampled; the samples are there"
                    .into(),
            ));
        };
        let names = thread_names(user.py)?;
        let profile = Profile::of(taken.gather, taken.totals, &names);
        let mut spent = taken.spent;
        (spent.runs, spent.failed) = (ran.runs, ran.failed);
        let file = code.file.bind(user.py).to_string();
        let what = Profiled::Code(code.way);
        report(&taken.settings, &profile, &spent, (Some(user), &file, what))
    }
}
