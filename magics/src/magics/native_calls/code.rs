//! What addresses mean: the function and the library that they lie in, and what a library is to the reader.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use diaphane_sight::code::instructions::{Flow, decode};
use diaphane_sight::code::symbols::{Symbol, Table, place};
use diaphane_sight::elf::readable::readable;
use diaphane_sight::linker::libraries::{Library, LibraryKind};
use diaphane_sight::packages;
use diaphane_sight::runtimes::families::family;
use diaphane_sight::runtimes::pool_libraries::{Api, runtime};
use diaphane_sight::unwind::function_start;
use rustc_hash::FxHashMap;

use super::record::Recorded;
use super::tree::{Code, FunctionRole};
use crate::libraries::names::short;
use diaphane_cpython::symbols::{evaluates, is_interpreter, reports};

/// Functions that end with a jump are short; the ends of long ones are not looked at.
const LONGEST: usize = 4096;

/// Which part of the way a function belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    Python,
    NumPy,
    Blas,
    Runtime,
    /// Imports, as one step.
    Imports,
    /// Of another package, or library without one.
    Other(String),
    Unknown,
}

impl Part {
    /// What a person calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Python => "Python",
            Self::NumPy => "NumPy",
            Self::Blas => "BLAS",
            Self::Runtime => "C library",
            Self::Imports => "imports",
            Self::Other(name) => name,
            Self::Unknown => "unknown",
        }
    }
}

/// A function.
#[derive(Debug, Clone)]
pub(super) struct CodeFunction {
    /// The symbol as people read it; of unnamed code the distance from the library's base.
    pub name: String,
    pub start: usize,
    /// Its library's place in the list.
    pub library: Option<usize>,
    /// Whether it is a part of Python's evaluation loop, and whether it is the interpreter's way to report.
    evaluates: bool,
    reports: bool,
}

/// What is known of the code of this process at the end of a recording.
pub(super) struct Codes {
    pub libraries: Vec<Library>,
    /// Names by which functions were asked for.
    names: HashMap<usize, String>,
    functions: FxHashMap<usize, Option<CodeFunction>>,
    /// By a function's start.
    pub known: FxHashMap<usize, CodeFunction>,
    jumps: FxHashMap<usize, Vec<Option<usize>>>,
    roles: Vec<FunctionRole>,
    parts: Vec<Part>,
    /// The libraries whose functions are all hooked.
    covered: Vec<bool>,
    ours: Option<usize>,
    /// The callable that ends the recording of a block.
    end: Option<usize>,
}

impl Codes {
    pub fn new(libraries: Vec<Library>, recorded: &Recorded, roles: Vec<FunctionRole>) -> Self {
        let parts = libraries.iter().map(part).collect();
        let own = short as *const () as usize;
        let is_covered = |library: &Library| recorded.covered.contains(&library.image.bias());
        Self {
            covered: libraries.iter().map(is_covered).collect(),
            ours: libraries
                .iter()
                .position(|library| library.span.contains(own)),
            end: recorded
                .known
                .callables
                .iter()
                .position(|callable| callable.name.ends_with("Recording.__exit__")),
            names: recorded.names.clone(),
            libraries,
            functions: FxHashMap::default(),
            known: FxHashMap::default(),
            jumps: FxHashMap::default(),
            roles,
            parts,
        }
    }

    /// The function that an address lies in.
    pub fn at(&mut self, address: usize) -> Option<&CodeFunction> {
        if let Entry::Vacant(vacant) = self.functions.entry(address) {
            let function = look(address, &self.libraries, &self.names);
            if let Some(function) = &function {
                self.known
                    .entry(function.start)
                    .or_insert_with(|| function.clone());
            }
            vacant.insert(function);
        }
        self.functions.get(&address)?.as_ref()
    }

    /// The symbol at an address, as the file has it, and its library.
    pub fn symbol(&self, address: usize) -> Option<(String, &Library)> {
        let place = place(address, &self.libraries)?;
        Some((place.symbol?.name, &self.libraries[place.library]))
    }

    /// The part that a library is.
    pub fn part(&self, library: Option<usize>) -> Part {
        library.map_or(Part::Unknown, |library| self.parts[library].clone())
    }

    /// A library's name without what its file name adds.
    pub fn short(&self, library: usize) -> String {
        short(&self.libraries[library].name).to_owned()
    }

    fn jumps_of(&mut self, function: usize) -> &[Option<usize>] {
        let libraries = &self.libraries;
        self.jumps.entry(function).or_insert_with(|| {
            let size = place(function, libraries).and_then(|place| {
                let library = &libraries[place.library];
                Some(Table::of(library).at(function, library.image.bias())?.size)
            });
            let code = decode(function, size.unwrap_or(0).min(LONGEST), LONGEST);
            let ends = code.into_iter();
            ends.filter(|one| matches!(one.flow, Flow::Jump | Flow::Branch))
                .map(|one| one.target)
                .collect()
        })
    }
}

impl Code for Codes {
    fn function(&mut self, address: usize) -> Option<(usize, usize)> {
        let function = self.at(address)?;
        Some((function.start, function.library?))
    }

    fn evaluates(&mut self, function: usize) -> bool {
        let known = self.at(function);
        known.is_some_and(|known| known.evaluates)
    }

    fn serves(&mut self, library: usize) -> bool {
        matches!(self.parts[library], Part::Python | Part::Runtime)
    }

    fn reports(&mut self, function: usize) -> bool {
        let known = self.at(function);
        known.is_some_and(|known| known.reports)
    }

    fn is_covered(&self, library: usize) -> bool {
        self.covered[library]
    }

    fn is_ours(&self, library: usize) -> bool {
        self.ours == Some(library)
    }

    fn jumps_to(&mut self, from: usize, to: usize) -> bool {
        // A jump through a register or a table may lead anywhere.
        let leads = |target: &Option<usize>| target.is_none_or(|target| target == to);
        self.jumps_of(from).iter().any(leads)
    }

    fn role(&self, code: usize) -> FunctionRole {
        self.roles
            .get(code)
            .copied()
            .unwrap_or(FunctionRole::Function)
    }

    fn is_end(&self, callable: usize) -> bool {
        self.end == Some(callable)
    }
}

/// The function that an address lies in; the names are those by which functions were asked for.
fn look(
    address: usize,
    libraries: &[Library],
    names: &HashMap<usize, String>,
) -> Option<CodeFunction> {
    let place = place(address, libraries)?;
    let library = &libraries[place.library];
    // Where there is no symbol, the tables for exceptions tell where functions begin.
    let symbol = place.symbol.map(|symbol| whole(symbol, library));
    let start = match &symbol {
        Some(symbol) => symbol.start,
        None => function_start(&library.image, address).unwrap_or(address),
    };
    let name = match (names.get(&start), &symbol) {
        (Some(name), None) => readable(name),
        (_, Some(symbol)) => readable(&symbol.name),
        (None, None) => format!("+{:#x}", start.wrapping_sub(library.span.start)),
    };
    Some(CodeFunction {
        evaluates: evaluates(&name).is_some(),
        reports: reports(&name),
        name,
        start,
        library: Some(place.library),
    })
}

/// The function that a rarely used part belongs to, which compilers move away under a name of its own.
fn whole(symbol: Symbol, library: &Library) -> Symbol {
    let Some((stem, _)) = symbol.name.split_once(".cold") else {
        return symbol;
    };
    let whole = Table::of(library).named(library.image.bias()).of(stem);
    whole.into_iter().next().unwrap_or(symbol)
}

fn part(library: &Library) -> Part {
    let path = library.path.as_deref().unwrap_or_default();
    match library.kind {
        _ if is_interpreter(library) || path.contains("/lib-dynload/") => Part::Python,
        _ if runtime(library).is_some_and(|runtime| runtime.api == Api::Blas) => Part::Blas,
        _ if path.contains("/numpy/") => Part::NumPy,
        LibraryKind::Vdso => Part::Runtime,
        _ if family(library).is_some() => Part::Runtime,
        _ => Part::Other(package(library)),
    }
}

/// The name of its package, or its own where none is known.
fn package(library: &Library) -> String {
    let path = library.path.as_deref().map(Path::new);
    let package = path.and_then(packages::owner);
    package.map_or_else(
        || short(&library.name).to_owned(),
        |package| package.name.clone(),
    )
}
