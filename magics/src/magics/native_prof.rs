//! `%%native_prof`: where a cell spends its time, in Python and in native code, on every thread.
//!
//! The samples are taken by `diaphane_trace::sampler`; here they get names (`gather`), are added up (`profile`) and drawn
//! (`flame`).

mod answer;
mod children;
mod columns;
mod comm;
mod export;
mod findings;
mod flame;
mod frames;
mod gather;
mod kinds;
mod marks;
mod profile;
mod sampled;
mod slow_lines;
mod source;
mod summary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diaphane_sight::linker::libraries;
use diaphane_trace::sampler::{self, Clock, RunningSampler, SamplerPlan, Threads};

use self::export::{Format, OutputFile};
use self::findings::Usage;
use self::gather::Gather;
use self::profile::Profile;
use self::summary::{Spent, report, usage};
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User, Way};
use crate::python::threads::thread_names;
use crate::recording::children::Children;
use crate::recording::queued::QueuesBefore;
use crate::recording::recorded_children::WithChildren;
use crate::recording::sample_rate;
use crate::session::executed_code::{self, Kept};
use diaphane_cpython::interpreter::{Interpreter, begin_above, begin_at_all, note_above};
use diaphane_cpython::{check, symbols};
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

    fn only_looks(_args: &NativeProfArgs) -> bool {
        false
    }

    fn begin(
        args: &NativeProfArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        let settings = args.settings()?;
        let own = Box::new(Sampled::begin(settings, code, user)?);
        match args.children {
            true => WithChildren::begin(own, user, Self::NAME, &args.for_children()),
            false => Ok(own),
        }
    }
}

/// How a cell is sampled.
struct Settings {
    hz: u32,
    clock: Clock,
    threads: Threads,
    lines: bool,
    repeat: bool,
    files: Vec<OutputFile>,
    children: bool,
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

/// Samples that are being taken.
struct Sampled {
    settings: Settings,
    running: RunningSampler<Gather>,
    children: Children,
    queues: QueuesBefore,
    executed: Kept,
    /// How often it was looked at so far.
    looks: Arc<AtomicU64>,
    started: Instant,
    before: Usage,
}

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
        let looks = gather.looks();
        let plan = plan(&settings, main, code.floor())?;
        let children = user.py.detach(Children::begin);
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
}

impl Recording for Sampled {
    fn wants_more(&self) -> bool {
        self.settings.repeat
            && self.looks.load(Ordering::Relaxed) < MANY
            && self.started.elapsed() < LONGEST
    }

    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        ran: Ran,
    ) -> Result<Report, Error> {
        let (elapsed, after) = (self.started.elapsed(), usage());
        let queued = self.queues.end();
        let Self {
            settings,
            running,
            children,
            executed: _executed,
            before,
            ..
        } = *self;
        let (ended, children) = user.py.detach(|| (running.end(), children.end()));
        let Some((gather, totals)) = ended else {
            return Err(Error::Usage(
                "%%native_prof: this process is a child of the one that was sampled; the samples are there"
                    .into(),
            ));
        };
        let names = thread_names(user.py)?;
        let profile = Profile::of(gather, totals, &names);
        let spent = Spent {
            elapsed,
            queued,
            usage: after.since(before),
            children,
            runs: ran.runs,
            failed: ran.failed,
        };
        let file = code.file.bind(user.py).to_string();
        report(&settings, &profile, &spent, (user, &file, code.way))
    }
}

fn plan(settings: &Settings, main: i32, floor: usize) -> Result<SamplerPlan, Error> {
    let libraries = libraries::now()?;
    Ok(SamplerPlan {
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
