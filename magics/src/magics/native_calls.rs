//! `%%native_calls`: the way from Python to the inner loops of a cell, with every native call on it.
//!
//! `record` runs the cell, `builder` makes trees of what was recorded, `code` and `labels` name it, `rows` and `sums` turn it
//! into a report.

mod arguments;
mod builder;
#[cfg(test)]
mod builder_tests;
mod code;
mod columns;
mod costs;
mod events;
mod labels;
mod record;
mod rows;
mod sums;
mod tree;

use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User};
use crate::recording::recorded_children::WithChildren;
use crate::recording::sample_rate;
use diaphane_report::regex;
use diaphane_report::{Report, Schema};
use diaphane_sight::runtimes::glibc_malloc;

use record::{RecordOptions, RunningCalls};

/// Show the native calls that a cell makes: from Python over the C functions that it calls and the libraries behind them
/// down to the inner loops, on every thread
///
/// Python's own functions and the C functions that it calls are reported by Python. Calls from one library into another
/// and the inner loops of ufuncs are seen by hooks in the tables through which they go; functions that a library calls
/// inside itself by hooks at their entries, with --deep. All hooks are removed when the cell has ended, however it ended.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NativeCallsArgs {
    /// Record every function of Python, of extension modules and of the libraries that came with them, local ones too
    #[arg(long)]
    deep: bool,
    /// Only calls out of libraries (with --deep: functions of libraries) whose file name matches
    #[arg(long, value_name = "REGEX")]
    libs: Option<String>,
    /// Record no calls but samples, so many times a second: for cells that run long
    #[arg(long, value_name = "HZ", num_args = 0..=1, default_missing_value = "499", conflicts_with_all = ["deep", "args", "all", "depth", "imports", "limit"])]
    sample: Option<u32>,
    /// Keep the arguments of functions that are known by name, and say which arrays they are
    #[arg(long)]
    args: bool,
    /// Show the calls into the C library and into Python's C interface one by one
    #[arg(long)]
    all: bool,
    /// Show no more levels than these
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Record what imports do as well; otherwise they are one row
    #[arg(long)]
    imports: bool,
    /// How many events each thread may record; what comes behind them is counted only. Without it, the recording ends
    /// when there is as much as a report can be made of in about the time that the cell takes
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Record child processes too: forks, and each Python that is started and has diaphane
    #[arg(long)]
    children: bool,
}

/// The magic.
pub(crate) struct NativeCalls;

impl Magic for NativeCalls {
    const NAME: &'static str = "native_calls";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[
        ("Which native functions does a cell run, how often?", ""),
        ("Which functions inside of a library does it run?", "--deep"),
        ("With which arrays and sizes are they called?", "--args"),
        ("Which do its child processes run?", "--children"),
    ];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = NativeCallsArgs;

    fn only_looks(_args: &NativeCallsArgs) -> bool {
        false
    }

    fn begin(
        args: &NativeCallsArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        if let Some(hz) = args.sample {
            sample_rate::check(NativeCalls::NAME, "--sample", hz)?;
            let children = if args.children { " --children" } else { "" };
            let line = format!("--hz {hz}{children}");
            let running = (context.begin)("native_prof", &line, code, context)?;
            return Ok(Box::new(SampledCalls(running)));
        }
        let pattern = args.libs.as_deref();
        let libraries = pattern
            .map(|pattern| regex("%%native_calls: --libs", pattern))
            .transpose()?;
        let how = RecordOptions {
            deep: args.deep,
            libraries,
            arguments: args.args,
            capacity: args.limit,
            fold_imports: !args.imports,
        };
        let running = RunningCalls::begin(context.user()?, code, how)?;
        let words = args.for_children();
        let own = Box::new(RecordedCalls {
            args: args.clone(),
            running,
        });
        match args.children {
            true => WithChildren::begin(own, context.user()?, Self::NAME, &words),
            false => Ok(own),
        }
    }
}

impl NativeCallsArgs {
    /// What stands on the line, for children.
    fn for_children(&self) -> Vec<String> {
        let flags = [
            ("deep", self.deep),
            ("args", self.args),
            ("all", self.all),
            ("imports", self.imports),
        ];
        let flags = flags.iter().filter(|(_, is_set)| *is_set);
        let number =
            |name: &str, value: Option<usize>| value.map(|value| format!("--{name}={value}"));
        let values = [
            number("depth", self.depth),
            number("limit", self.limit),
            self.libs.as_ref().map(|libs| format!("--libs={libs}")),
        ];
        let flags = flags.map(|(name, _)| format!("--{name}"));
        flags.chain(values.into_iter().flatten()).collect()
    }
}

/// A recording, with what its line says of the report.
struct RecordedCalls {
    args: NativeCallsArgs,
    running: RunningCalls,
}

impl Recording for RecordedCalls {
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let recorded = self.running.end(user)?;
        let report = rows::report(user, code, &recorded, &self.args);
        drop(recorded);
        // What it took to make the report of the events is free now, and would stay with this process.
        user.py.detach(glibc_malloc::give_back);
        report
    }
}

/// What the magic for samples records, as a recording of this one.
struct SampledCalls(Box<dyn Recording>);

impl Recording for SampledCalls {
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        ran: Ran,
    ) -> Result<Report, Error> {
        let report = self.0.end(code, user, ran)?;
        let name = match report.name {
            "native_prof" => NativeCalls::NAME,
            merged => merged,
        };
        Ok(Report { name, ..report })
    }
}
