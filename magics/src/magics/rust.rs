//! `%%rust`: a cell in Rust, compiled and loaded into this process, that works on Python's memory where it is.
//!
//! The line and the report are here, completion inside such a cell in `assist`; everything else is in `rust_cells`.

mod assist;
mod columns;

use std::time::Instant;

use diaphane_rust_protocol::Compile;
use pyo3::prelude::*;
use serde::Serialize;

use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, User};
use crate::rust_cells::export::{Exports, NamedVariable};
use crate::rust_cells::library::LoadedCell;
use crate::rust_cells::run::{self, Isolation};
use crate::rust_cells::{function, kept, nanoseconds, state};
use crate::session::cell_body;
pub(crate) use assist::{rust_complete, rust_inspect};
use diaphane_report::{Report, Schema, rows};

/// Compile the cell as Rust, load it into this process and run it on Python's memory.
///
/// Arrays are borrowed where they are, as views of `ndarray`, or as slices. Functions, types, macros and `use` stay for later
/// cells, and so do dependencies, which a line such as `:dep rand = "0.9"` adds. The value of the last expression is shown.
/// A panic, and an error that `?` gives on, become exceptions.
#[derive(Debug, Clone, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the line")]
pub(crate) struct RustArgs {
    /// Borrow variables to read: arrays of numbers, numbers, str, bytes
    #[arg(short = 'i', long = "in", value_name = "NAMES", value_delimiter = ',')]
    input: Vec<String>,
    /// Borrow arrays to change them in place
    #[arg(short = 'm', long = "mut", value_name = "NAMES", value_delimiter = ',')]
    mutable: Vec<String>,
    /// Hand variables over to Python when the cell has ended: numbers, String, Vec, arrays of ndarray, Option of these
    #[arg(short = 'o', long = "out", value_name = "NAMES", value_delimiter = ',')]
    output: Vec<String>,
    /// Keep variables of the cell for later Rust cells, which have them as `&mut`; each needs its type: `let n: T = ...`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    keep: Vec<String>,
    /// Borrow arrays as slices, without `ndarray`
    #[arg(long)]
    slices: bool,
    /// Optimize by this level, 0 to 3, s or z; 2 if it is not given
    #[arg(
        short = 'O',
        long = "opt",
        value_name = "LEVEL",
        default_value = "2",
        hide_default_value = true
    )]
    opt: String,
    /// Use all instructions that this processor has
    #[arg(long)]
    native: bool,
    /// Run the cell in a copy of the kernel's process: its changes count only if it finishes, and nothing else that it
    /// does, even a fault, reaches the kernel
    #[arg(long)]
    isolated: bool,
    /// Make Python functions of the cell's `pub fn`s
    #[arg(long)]
    def: bool,
    /// Show how long it took to compile and to run
    #[arg(long)]
    time: bool,
    /// Show the source that is compiled, and do not run it
    #[arg(long)]
    show: bool,
}

/// The magic.
pub(crate) struct Rust;

/// What `--time` shows.
#[derive(Debug, Serialize)]
struct CellTimes {
    cell: u32,
    /// Nothing for a cell that was compiled before.
    compile_ns: Option<u64>,
    bind_ns: u64,
    /// With `--isolated` alone.
    fork_ns: Option<u64>,
    run_ns: Option<u64>,
    /// With `--isolated` alone.
    back_ns: Option<u64>,
    cached: bool,
    library: String,
}

impl Magic for Rust {
    const NAME: &'static str = "rust";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[(
        "How fast would my own native code be on this array?",
        "-i NAME",
    )];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = RustArgs;

    fn only_looks(_args: &RustArgs) -> bool {
        false
    }

    fn run(args: &RustArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let user = context.user()?;
        let source = context.cell.unwrap_or_default();
        let (cell, lines_above) = cell_body::cell_number_and_lines_above(source, user)?;
        check(args)?;
        let began = Instant::now();
        let mut exports = Exports::gather(&wanted(args), args.slices, user)?;
        let bind_ns = nanoseconds(began);
        let asked = asked(args, &exports, source, (cell, lines_above));
        let (loaded, cached) = state::compiled(&asked, user)?;
        warn(&loaded, cell, user)?;
        let is_asked = args.time || args.show;
        let mut report = Report {
            name: Self::NAME,
            columns: if is_asked { columns::COLUMNS } else { &[] },
            quiet: !is_asked,
            ..Report::default()
        };
        let mut times = CellTimes {
            cell,
            compile_ns: (!cached).then_some(loaded.compiled.took_ns),
            bind_ns,
            fork_ns: None,
            run_ns: None,
            back_ns: None,
            cached,
            library: loaded.compiled.library.clone(),
        };
        if args.show {
            report.listing = loaded.compiled.source.lines().map(str::to_owned).collect();
        } else {
            for one in &loaded.compiled.kept {
                exports.add_kept(kept::borrow(&one.name)?);
            }
            let isolation = if args.isolated {
                Isolation::Process
            } else {
                Isolation::None
            };
            let done = run::run(&loaded, isolation, |image| image.entry, &exports, user.py)?;
            (times.fork_ns, times.run_ns, times.back_ns) =
                (done.fork_ns, done.run_ns, done.back_ns);
            // The borrows end before Python gets the results.
            drop(exports);
            run::deliver(done, &loaded, &asked, user)?;
            function::bind(&loaded, isolation, &asked, user)?;
            report.summary.extend(defined(&loaded, args));
        }
        // Who only defines something would see nothing.
        report.quiet &= report.summary.is_empty();
        report.rows = rows([times])?;
        Ok(report)
    }
}

/// So many items of a cell are told by name.
const TOLD: usize = 5;

/// What a cell has defined that shows nothing else: functions for Python, or items for later cells.
fn defined(loaded: &LoadedCell, args: &RustArgs) -> Option<String> {
    let functions = &loaded.compiled.functions;
    let names: Vec<&str> = functions.iter().map(|one| one.name.as_str()).collect();
    if args.def && !names.is_empty() {
        return Some(format!("defined {}", names.join(", ")));
    }
    let heads = &loaded.compiled.only_defines;
    let python = match heads.iter().any(|head| head.starts_with("fn ")) {
        true => "; with --def, Python can call each `pub fn`",
        false => "",
    };
    let more = match heads.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let told = heads[..heads.len().min(TOLD)].join(", ");
    (!heads.is_empty()).then(|| format!("for later Rust cells: {told}{more}{python}"))
}

/// The cell as the compiler is asked for it. Its place is its number, and how many lines stand above it.
fn asked(
    args: &RustArgs,
    exports: &Exports<'_>,
    source: &str,
    (cell, lines_above): (u32, u32),
) -> Compile {
    Compile {
        cell,
        lines_above,
        source: source.trim_end_matches('\n').to_owned(),
        binds: exports.binds.clone(),
        outputs: args.output.clone(),
        keeps: args.keep.clone(),
        kept: kept::known(&args.keep),
        opt_level: args.opt.clone(),
        native: args.native,
        exports: args.def,
        names: Vec::new(),
    }
}

/// The variables that are borrowed. One that is named twice is borrowed once, to be changed if one of the two says so.
fn wanted(args: &RustArgs) -> Vec<NamedVariable<'_>> {
    let mut wanted: Vec<NamedVariable<'_>> = Vec::new();
    let mutable = args.mutable.iter().map(|name| (name, true));
    for (name, mutable) in mutable.chain(args.input.iter().map(|name| (name, false))) {
        let name = name.trim();
        if !name.is_empty() && !wanted.iter().any(|one| one.name == name) {
            wanted.push(NamedVariable { name, mutable });
        }
    }
    wanted
}

fn check(args: &RustArgs) -> Result<(), Error> {
    if !["0", "1", "2", "3", "s", "z"].contains(&args.opt.as_str()) {
        return Err(Error::Usage(format!(
            "%%rust: there is no level {:?} to optimize by; there are 0, 1, 2, 3, s and z",
            args.opt
        )));
    }
    if let Some(name) = args
        .keep
        .iter()
        .find(|name| args.isolated || args.output.contains(name))
    {
        let (other, why) = if args.isolated {
            (
                "--isolated",
                "the variables of an isolated cell end with its process",
            )
        } else {
            ("-o", "a variable can be given to one side only")
        };
        return Err(Error::Usage(format!(
            "%%rust: --keep {name} does not go with {other}: {why}"
        )));
    }
    let names = args.input.iter().chain(&args.mutable);
    let names = names.chain(&args.output).chain(&args.keep);
    match names.into_iter().find(|name| !is_name(name)) {
        Some(name) => Err(Error::Usage(format!(
            "%%rust: {name:?} is no name of a variable that Rust could have too"
        ))),
        None => Ok(()),
    }
}

/// Whether a word is a name in both languages.
fn is_name(word: &str) -> bool {
    // Rust has these words for itself, in every form.
    let taken = ["self", "Self", "super", "crate", "_"];
    let mut letters = word.chars();
    let begins = letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_');
    begins
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        && !taken.contains(&word)
        && !word.starts_with("__dia")
}

/// Shows what rustc warns of, with every run of the cell, as if it were compiled each time.
fn warn(loaded: &LoadedCell, cell: u32, user: User<'_, '_>) -> Result<(), Error> {
    let warnings = &loaded.compiled.warnings;
    if !warnings.is_empty() {
        let compiled = format!("Cell In[{}]:", loaded.cell);
        let warnings = warnings.replace(&compiled, &format!("Cell In[{cell}]:"));
        let stderr = user.py.import("sys")?.getattr("stderr")?;
        stderr.call_method1("write", (warnings + "\n",))?;
    }
    Ok(())
}
