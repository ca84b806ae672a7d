//! `%where`: from a Python object, a symbol or an address to the machine code behind it, step by step.
//!
//! CPython's and NumPy's structures tell which C function is called, the library's symbols its name, its debug
//! information the line, and its instructions which part of the processor's instruction set it uses.

mod columns;
mod diagnoses;

use diaphane_sight::code::instructions::{Counts, Instruction};
use diaphane_sight::code::lines::Line;
use serde::Serialize;
use serde_json::json;

use crate::code::symbolize::{CodeLocation, OTHER_PROCESSOR, ProcessImage, counts};
use crate::code::trail::{CHOICE, Question};
use crate::code::variants;
use crate::code::variants::Variants;
use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::numpy::step::Step;
use diaphane_report::{Address, Report, Schema, fields, rows};

/// Show the C function behind a Python object: its symbol, library, package, source line, and instruction set.
///
/// FUNC is a name with attributes and subscripts (np.add, str.join, math.sin), an address (0x7f...), or a symbol of a
/// library (libc*!memcpy). A ufunc of NumPy has one loop for each row of dtypes; --dtype shows the one that is used.
#[derive(Debug, clap::Args)]
pub(crate) struct WhereArgs {
    /// What to look for
    #[arg(value_name = "FUNC")]
    target: String,
    /// The kind of items, for NumPy's functions: float32, i4, or one for each input (f8,i8)
    #[arg(long, value_name = "D")]
    dtype: Option<String>,
}

#[derive(Serialize, Default)]
struct CodeRow {
    role: String,
    object: Option<String>,
    types: Option<String>,
    dtypes: Option<String>,
    func: Option<String>,
    symbol: Option<String>,
    offset: Option<usize>,
    addr: Option<Address>,
    lib: Option<String>,
    lib_path: Option<String>,
    package: Option<String>,
    package_version: Option<String>,
    source: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    size: Option<usize>,
    isa: Option<Counts>,
    isa_used: Option<Vec<&'static str>>,
    variants: Option<Vec<&'static str>>,
    bound: Option<&'static str>,
    each: Option<String>,
}

/// A step with what was found at its address.
struct FoundCode<'a> {
    step: Step,
    spot: Option<CodeLocation<'a>>,
    code: Vec<Instruction>,
    variants: Option<Variants>,
    line: Option<Line>,
}

/// The magic.
pub(crate) struct Where;

impl Magic for Where {
    const NAME: &'static str = "where";
    const QUESTIONS: Questions = &[("Which native code runs behind this function?", "FUNC")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = WhereArgs;

    fn run(args: &WhereArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let question = Question {
            magic: Self::NAME,
            text: &args.target,
            dtype: args.dtype.as_deref(),
        };
        let process = ProcessImage::read()?;
        let trail = question.follow(context, &process)?;
        let look = |step| look(step, &process);
        let found = context.without_gil(|| trail.steps.into_iter().map(look).collect::<Vec<_>>());
        let mut limits = trail.limits;
        limits.extend(found.iter().filter_map(|one| one.spot.as_ref()?.limit()));
        limits.dedup();
        if !diaphane_sight::code::instructions::SUPPORTED {
            limits.push(OTHER_PROCESSOR.into());
        }
        Ok(Report {
            name: Self::NAME,
            columns: columns::COLUMNS,
            rows: rows(found.iter().map(|one| row(one, &process)))?,
            summary: vec![summary(&args.target, &found)],
            diagnoses: diagnoses::all(&found, context)?,
            facts: fields(json!({"target": args.target, "dtype": args.dtype}))?,
            limits,
            ..Report::default()
        })
    }
}

fn look<'a>(step: Step, process: &'a ProcessImage) -> FoundCode<'a> {
    const MOST: usize = 20_000;
    let spot = step.code.and_then(|code| process.spot(code));
    let code = spot
        .as_ref()
        .map(|spot| spot.instructions(MOST))
        .unwrap_or_default();
    let variants = spot.as_ref().and_then(variants::variants_of);
    let line = spot
        .as_ref()
        .filter(|_| step.role != "loop")
        .and_then(CodeLocation::line);
    FoundCode {
        step,
        spot,
        code,
        variants,
        line,
    }
}

fn row(found: &FoundCode<'_>, process: &ProcessImage) -> CodeRow {
    let step = &found.step;
    let spot = found.spot.as_ref();
    let package = spot.and_then(|spot| spot.package.as_deref());
    let source = step.source.clone().or_else(|| {
        found
            .line
            .as_ref()
            .map(|line| (line.file.clone(), line.line))
    });
    let isa = counts(&found.code);
    CodeRow {
        role: step.role.clone(),
        object: Some(step.object.clone()),
        types: step.types.clone(),
        dtypes: step.dtypes.clone(),
        func: spot.and_then(CodeLocation::func),
        symbol: spot.and_then(|spot| Some(spot.symbol.as_ref()?.name.clone())),
        offset: spot.map(|spot| spot.offset),
        addr: step.code.map(Address),
        lib: spot.map(|spot| spot.library.name.clone()),
        lib_path: spot.and_then(|spot| spot.library.path.clone()),
        package: package.map(|package| package.name.clone()),
        package_version: package.map(|package| package.version.clone()),
        source: source.as_ref().map(|(file, line)| format!("{file}:{line}")),
        file: source.as_ref().map(|(file, _)| file.clone()),
        line: source.map(|(_, line)| line),
        size: spot
            .and_then(|spot| spot.symbol.as_ref())
            .map(|symbol| symbol.size)
            .filter(|&size| size > 0),
        isa_used: isa.as_ref().map(used),
        isa,
        variants: found
            .variants
            .as_ref()
            .map(|variants| variants.available.clone()),
        bound: found.variants.as_ref().map(|variants| variants.bound),
        each: step.each.and_then(|code| process.name(code)),
    }
}

/// The parts of the instruction set that are used at all, the newest first.
fn used(counts: &Counts) -> Vec<&'static str> {
    let parts = [
        (counts.avx512, "avx512"),
        (counts.avx2, "avx2"),
        (counts.avx, "avx"),
        (counts.sse, "sse"),
    ];
    let used: Vec<&str> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, name)| *name)
        .collect();
    if used.is_empty() {
        vec!["scalar"]
    } else {
        used
    }
}

/// The end of the way in a sentence.
fn summary(text: &str, found: &[FoundCode<'_>]) -> String {
    let loops = found.iter().filter(|one| one.step.role == "loop").count();
    let Some(last) = found.last() else {
        return format!("{text} leads to no C function");
    };
    let Some(spot) = last.spot.as_ref() else {
        return match &last.step.source {
            Some((file, line)) => format!("{text} is Python code: {file}:{line}"),
            None => format!("{text} lies in no library"),
        };
    };
    let library = &spot.library.name;
    if loops > 1 {
        return format!(
            "{text} has {loops} loops in {library}; --dtype shows the one for a kind of items"
        );
    }
    let package = spot
        .package
        .as_ref()
        .map(|package| format!(" of {} {}", package.name, package.version));
    let package = package.unwrap_or_default();
    let types = last
        .step
        .dtypes
        .as_ref()
        .map(|types| format!(" for {types}"))
        .unwrap_or_default();
    let names = match last.step.role.as_str() {
        CHOICE => found
            .iter()
            .filter(|one| one.step.role == CHOICE)
            .filter_map(|one| Some(name(one.spot.as_ref()?)))
            .collect(),
        "tp_init" | "setter" => found
            .iter()
            .filter_map(|one| Some(format!("{} ({})", name(one.spot.as_ref()?), one.step.role)))
            .collect(),
        _ => vec![name(spot)],
    };
    let variants = last.variants.as_ref().map(|variants| {
        format!(
            "; variants: {}; bound: {}",
            variants.available.join(", "),
            variants.bound
        )
    });
    let joint = if last.step.role == CHOICE {
        " or "
    } else {
        " and "
    };
    format!(
        "{text} runs {}{types} in {library}{package}{}",
        names.join(joint),
        variants.unwrap_or_default()
    )
}

/// The function at a place, as far as it has a name.
fn name(spot: &CodeLocation<'_>) -> String {
    match (spot.func(), &spot.symbol) {
        (Some(name), Some(_)) if spot.offset > 0 => format!("{name}+{:#x}", spot.offset),
        (Some(name), _) => name,
        (None, _) => format!("an unnamed function at +{:#x}", spot.offset),
    }
}
