//! `%disasm`: the machine code of a function as it lies in memory, with its jumps, calls and data named.
//!
//! The code is what the process runs, which may differ from the file. The decoder is in `sight::code`.

mod arrows;
mod columns;
mod hot_loop;
mod listing;

use diaphane_sight::code::instructions;
use diaphane_sight::code::instructions::{Counts, Instruction};
use diaphane_sight::proc::spans::Span;
use serde::Serialize;
use serde_json::json;

use self::listing::Marks;
use crate::code::symbolize::{CodeLocation, OTHER_PROCESSOR, ProcessImage, counts};
use crate::code::trail::{CHOICE, Question};
use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::numpy::step::Step;
use crate::numpy::ufunc::DEFAULT;
use diaphane_report::{Address, Report, Schema, fields, rows};

/// Show the machine code of a function, with jumps as arrows and calls by name.
///
/// FUNC is a name with attributes and subscripts (np.add, str.join, math.sin), an address (0x7f...), or a symbol of a
/// library (libc*!memcpy). Of a ufunc of NumPy the loop for float64 is shown, or the one for --dtype. Addresses are
/// offsets from the start of the function.
#[derive(Debug, clap::Args)]
pub(crate) struct DisasmArgs {
    /// What to show
    #[arg(value_name = "FUNC")]
    target: String,
    /// The kind of items, for NumPy's functions: float32, i4, or one for each input (f8,i8)
    #[arg(long, value_name = "D")]
    dtype: Option<String>,
    /// Show N instructions instead of the whole function
    #[arg(long = "asm", value_name = "N")]
    count: Option<usize>,
    /// Show which part of the instruction set each instruction belongs to
    #[arg(long)]
    isa: bool,
    /// Show the bytes of each instruction
    #[arg(long)]
    bytes: bool,
}

impl DisasmArgs {
    fn marks(&self) -> Marks {
        Marks {
            isa: self.isa,
            bytes: self.bytes,
        }
    }
}

/// Longer functions are shown in part unless more is asked for.
const MOST: usize = 4000;

#[derive(Serialize)]
struct ListingRow<'a> {
    object: &'a str,
    types: Option<&'a str>,
    func: Option<String>,
    symbol: Option<&'a str>,
    offset: usize,
    lib: &'a str,
    lib_path: Option<&'a str>,
    package: Option<&'a str>,
    package_version: Option<&'a str>,
    addr: Address,
    size: Option<usize>,
    count: usize,
    isa: Option<Counts>,
    insns: Vec<InstructionRow>,
}

/// An instruction as data.
#[derive(Serialize)]
struct InstructionRow {
    addr: Address,
    bytes: String,
    text: String,
    isa: instructions::Isa,
    target: Option<Address>,
    name: Option<String>,
}

/// The magic.
pub(crate) struct Disasm;

impl Magic for Disasm {
    const NAME: &'static str = "disasm";
    const QUESTIONS: Questions = &[("What are its machine instructions: is it SIMD?", "FUNC")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = DisasmArgs;

    fn run(args: &DisasmArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        if !instructions::SUPPORTED {
            return Err(Error::Usage(format!("%disasm: {OTHER_PROCESSOR}")));
        }
        let process = ProcessImage::read()?;
        let question = Question {
            magic: Self::NAME,
            text: &args.target,
            dtype: args.dtype.as_deref(),
        };
        let trail = question.follow(context, &process)?;
        let step = last(question, trail.steps, context, &process)?;
        context.without_gil(|| report(args, &step, &process))
    }
}

/// The function at the end of the way. A ufunc without a dtype has many, of which the usual one is taken.
fn last(
    question: Question<'_>,
    mut steps: Vec<Step>,
    context: &Context<'_, '_>,
    process: &ProcessImage,
) -> Result<Step, Error> {
    let is_loop = |step: &&Step| step.role == "loop";
    if question.dtype.is_none() && steps.iter().filter(is_loop).count() > 1 {
        let usual = Question {
            dtype: Some(DEFAULT),
            ..question
        };
        // A ufunc without such a loop shows its first one.
        match usual.follow(context, process) {
            Ok(trail) if trail.steps.iter().any(|step| step.role == "loop") => steps = trail.steps,
            _ => steps.truncate(
                steps
                    .iter()
                    .position(|step| step.role == "loop")
                    .unwrap_or(0)
                    + 1,
            ),
        }
    }
    // Which of several a function chooses is not known before it runs.
    let shown = |role: &str| !matches!(role, "tp_init" | "setter" | CHOICE);
    let found = steps.into_iter().rfind(|step| shown(&step.role));
    let refuse = |what: &str| Error::Usage(format!("%disasm: {}: {what}", question.text));
    match found {
        Some(step) if step.code.is_some() => Ok(step),
        Some(_) => Err(refuse("this is Python code, which dis.dis shows")),
        None => Err(refuse("no C function is behind it")),
    }
}

fn report(args: &DisasmArgs, step: &Step, process: &ProcessImage) -> Result<Report, Error> {
    let address = step.code.unwrap_or_default();
    let most = args.count.unwrap_or(MOST);
    let Some(spot) = process.spot(address) else {
        return unnamed(args, address, most, process);
    };
    // An address in the middle of a function is shown from there on when a number of instructions is asked for.
    let mut code = match &spot.symbol {
        Some(symbol) if symbol.size > 0 && args.count.is_some() => {
            instructions::decode(address, symbol.start + symbol.size - address, most)
        }
        _ => spot.instructions(most + 1),
    };
    let mut limits: Vec<String> = spot.limit().into_iter().collect();
    if code.len() > most && args.count.is_none() {
        limits.push(format!(
            "only the first {most} instructions are shown; --asm N shows N of them"
        ));
    }
    code.truncate(most);
    let whole = || Some(spot.symbol.as_ref()?).filter(|symbol| symbol.size > 0);
    let function = whole().map_or_else(
        || reach(&code),
        |symbol| Span::new(symbol.start, symbol.start + symbol.size),
    );
    let listing = listing::lines(&code, function, process, args.marks());
    let (lead, listing) = hot_loop::first(&code, listing);
    let row = row(&args.target, step, &spot, &code, process);
    Ok(Report {
        name: Disasm::NAME,
        columns: columns::COLUMNS,
        rows: rows([row])?,
        listing,
        lead: of_class(&args.target, step)
            .into_iter()
            .chain(lead)
            .collect(),
        summary: vec![summary(&code)],
        facts: fields(json!({"target": args.target, "dtype": args.dtype}))?,
        limits,
        ..Report::default()
    })
}

/// From the first to behind the last instruction.
fn reach(code: &[Instruction]) -> Span {
    let start = code.first().map_or(0, |one| one.address);
    Span::new(
        start,
        code.last()
            .map_or(start, |one| one.address + one.bytes.len()),
    )
}

/// Code outside of any library, such as a compiler made at run time.
fn unnamed(
    args: &DisasmArgs,
    address: usize,
    most: usize,
    process: &ProcessImage,
) -> Result<Report, Error> {
    let refuse = |what: String| Error::Usage(format!("%disasm: {}: {what}", args.target));
    let region = process
        .maps
        .find(address)
        .ok_or_else(|| refuse(format!("nothing is mapped at {address:#x}")))?;
    if !region.is_executable() {
        return Err(refuse(format!(
            "{address:#x} is no code: its region is {}",
            region.perms
        )));
    }
    let code = instructions::decode_function(address, most);
    let insns = code.iter().map(|one| line(one, process)).collect();
    let row = ListingRow {
        object: &args.target,
        types: None,
        func: None,
        symbol: None,
        offset: 0,
        lib: region.name.as_deref().unwrap_or("anonymous memory"),
        lib_path: None,
        package: None,
        package_version: None,
        addr: Address(address),
        size: None,
        count: code.len(),
        isa: counts(&code),
        insns,
    };
    Ok(Report {
        name: Disasm::NAME,
        columns: columns::COLUMNS,
        rows: rows([row])?,
        listing: listing::lines(&code, reach(&code), process, args.marks()),
        summary: vec![summary(&code)],
        facts: fields(json!({"target": args.target, "dtype": args.dtype}))?,
        limits: vec!["this code belongs to no library, so where it ends is a guess".into()],
        ..Report::default()
    })
}

fn row<'a>(
    object: &'a str,
    step: &'a Step,
    spot: &'a CodeLocation<'_>,
    code: &[Instruction],
    process: &ProcessImage,
) -> ListingRow<'a> {
    let symbol = spot.symbol.as_ref();
    ListingRow {
        object,
        types: step.types.as_deref(),
        func: spot.func(),
        symbol: symbol.map(|symbol| symbol.name.as_str()),
        offset: spot.offset,
        lib: &spot.library.name,
        lib_path: spot.library.path.as_deref(),
        package: spot.package.as_deref().map(|package| package.name.as_str()),
        package_version: spot
            .package
            .as_deref()
            .map(|package| package.version.as_str()),
        addr: Address(spot.address),
        size: symbol.map(|symbol| symbol.size).filter(|&size| size > 0),
        count: code.len(),
        isa: counts(code),
        insns: code.iter().map(|one| line(one, process)).collect(),
    }
}

fn line(one: &Instruction, process: &ProcessImage) -> InstructionRow {
    InstructionRow {
        addr: Address(one.address),
        bytes: one.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        text: one.text.clone(),
        isa: one.isa,
        target: one.target.or(one.data).map(Address),
        name: listing::named(one, process),
    }
}

/// What of a class is shown.
fn of_class(target: &str, step: &Step) -> Option<String> {
    let does = match step.role.as_str() {
        "tp_new" => "which makes a new object of it",
        "tp_call" => "which runs when it is called",
        _ => return None,
    };
    Some(format!(
        "{target} is a class: this is its {}, {does}; %disasm {target}.METHOD shows a method",
        step.role
    ))
}

fn summary(code: &[Instruction]) -> String {
    let counts = Counts::of(code);
    let parts = [
        (counts.scalar, "scalar"),
        (counts.sse, "sse"),
        (counts.avx, "avx"),
        (counts.avx2, "avx2"),
        (counts.avx512, "avx512"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let loops = instructions::loops(code).len();
    format!(
        "{} instructions: {}; {} work on several items; jumps back: {loops}",
        code.len(),
        parts.join(", "),
        counts.packed
    )
}
