//! `%buffer_addr`: where the memory of variables lies, whose it is, and which variables share it.
//!
//! Addresses come from NumPy's structure or the buffer protocol, mappings and pages from the kernel, and whether two
//! strided buffers share a byte from NumPy's own solver.

mod answer;
mod columns;
mod diagnoses;
mod fold;
mod groups;
mod others;
mod overlap;
mod place;
mod row;
mod sizes;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_sight::proc::spans::{Layout, Span};
use pyo3::prelude::*;
use serde_json::json;

use self::others::Others;
use self::place::{Backed, MemoryMap};
use self::sizes::ListedSizes;
use self::targets::BufferTarget;
use crate::cli;
use crate::error::Error;
use crate::magic::{Context, Magic, Questions, User};
use crate::memory::allocated::Tracemalloc;
use crate::memory::buffers;
use crate::memory::buffers::{Buffer, ExportedBuffer};
use crate::numpy::memory_handler::origins;
use crate::python::objects::type_name;
use diaphane_report::{Report, Schema, fields, rows};

/// Show where the memory of variables lies, whose it is, and who shares it.
///
/// Understands NumPy arrays, pandas Series, DataFrames, Indexes and arrays, pyarrow arrays and tables, polars Series and
/// DataFrames, torch tensors, and everything with the buffer protocol (bytes, bytearray, memoryview, array.array, mmap), `__array_interface__` or DLPack.
/// An object that holds others, such as a list, a sparse matrix or a Dataset, is opened.
/// A NAME may have attributes and subscripts: `frame.index`, `"d['x'][3].w"`. Without a NAME all variables that export memory are listed.
/// Flags: C and F contiguous in C and Fortran order, W writeable, A64 at a multiple of 64 bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct BufferAddrArgs {
    /// Variables to look at
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Also what lists, dicts and other objects hold
    #[arg(long)]
    all: bool,
    /// A row for each buffer, also for those that are alike and at many places of a list
    #[arg(long)]
    each: bool,
    /// Draw who lies where in whose memory, with the chain of bases
    #[arg(long)]
    graph: bool,
    /// How the memory is backed: bytes that are present, in huge pages, and the NUMA nodes
    #[arg(long)]
    pages: bool,
    /// Leave out smaller buffers; a number of bytes, or with a unit: 64kB, 1MB
    #[arg(long, value_name = "SIZE", value_parser = cli::size)]
    min: Option<usize>,
}

/// One line of the report before it is written.
struct Listed<'py> {
    name: String,
    /// The type of the object that was asked.
    kind: String,
    buffer: Result<Buffer<'py>, String>,
    owner: BufferOwner,
    refs: Option<isize>,
    mapping: Option<Arc<str>>,
    backed: Backed,
    allocated_at: Option<String>,
    shares_with: Vec<usize>,
    /// The name of the row that shows it.
    row_name: String,
}

/// Whose memory it is.
#[derive(Default)]
struct BufferOwner {
    /// Its variable, if it has one.
    name: Option<String>,
    kind: String,
    /// Which object it is.
    id: usize,
    /// Its memory, if it exports it.
    span: Option<Span>,
    allocator: Option<String>,
    /// Whether the listed object is the owner.
    is_self: bool,
}

impl Listed<'_> {
    /// The layout of a buffer that was found.
    fn layout(&self) -> Option<&Layout> {
        self.buffer.as_ref().ok().map(|buffer| &buffer.layout)
    }

    /// From its lowest to behind its highest byte.
    fn bounds(&self) -> Option<Span> {
        self.layout().map(Layout::bounds)
    }

    /// The variable that owns the memory.
    fn owner_name(&self) -> Option<&str> {
        match self.owner.is_self {
            true => Some(&self.name),
            false => self.owner.name.as_deref(),
        }
    }
}

/// The magic.
pub(crate) struct BufferAddr;

impl Magic for BufferAddr {
    const NAME: &'static str = "buffer_addr";
    const QUESTIONS: Questions = &[
        ("View or copy: who shares the memory of this array?", "NAME"),
        ("Where do all my arrays lie, and how large are they?", ""),
    ];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = BufferAddrArgs;

    fn run(args: &BufferAddrArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let user = context.user()?;
        let (targets, limit) = targets::of(args, user)?;
        let others = Others::of(args, user, &targets)?;
        let names = VariableNames::of(user, &targets);
        let mut listed = list(args.min, targets, &names, user.py)?;
        let asked = listed.len();
        listed.extend(list(None, others.targets, &names, user.py)?);
        name_owners(&mut listed);
        let places = listed.iter().filter_map(|one| Some(one.bounds()?.start));
        let places: Vec<usize> = places.collect();
        let mut memory = context.without_gil(|| MemoryMap::read(places, args.pages))?;
        for one in &mut listed {
            look_at_memory(one, &mut memory);
        }
        let mut limits = memory.limits();
        limits.extend(limit);
        limits.extend(overlap::find(user.py, &mut listed, asked)?);
        limits.extend(others_limits(
            others.is_cut,
            others::keep_related(&mut listed, asked),
        ));
        let sizes = ListedSizes::of(&listed[..asked]);
        let folded = fold::rows(&listed[..asked], args.each);
        for row in &folded {
            for &index in &row.members {
                listed[index].row_name.clone_from(&row.name);
            }
        }
        let has_view = listed.iter().any(|one| !one.owner.is_self);
        let groups = match args.graph || has_view {
            true => groups::of(&listed),
            false => Vec::new(),
        };
        let all_rows = folded
            .iter()
            .map(|row| row::of(row, &listed, others.is_cut));
        let all_rows: Vec<_> = all_rows.collect();
        let is_named = !args.names.is_empty();
        Ok(Report {
            name: Self::NAME,
            answer: is_named.then(|| answer::of(&all_rows)).flatten(),
            columns: columns::COLUMNS,
            rows: rows(all_rows)?,
            facts: fields(json!({
                "listed_bytes": sizes.listed,
                "distinct_bytes": sizes.distinct,
                "distinct_is_exact": sizes.exact,
                "held_bytes": sizes.held,
            }))?,
            listing: match args.graph {
                true => groups::listing(&groups),
                false => Vec::new(),
            },
            draws_chart: true,
            chart: groups::ruler(&groups, args.graph),
            summary: summary(&folded, &listed, &sizes),
            diagnoses: diagnoses::all(&listed, asked, is_named),
            limits,
            ..Report::default()
        })
    }
}

/// What is not known of the buffers that nobody asked about.
fn others_limits(is_cut: bool, left_out: usize) -> impl Iterator<Item = String> {
    let cut = is_cut.then(|| {
        "there was no time to compare with everything that your variables hold: there may be more that share; --all looks \
         at all of it"
            .to_owned()
    });
    let more = (left_out > 0).then(|| format!("{left_out} more buffers share memory with these"));
    cut.into_iter().chain(more)
}

/// The variables by the object they hold; those that the user can see come first.
struct VariableNames(HashMap<usize, String>);

impl VariableNames {
    fn of(user: User<'_, '_>, targets: &[BufferTarget<'_>]) -> Self {
        let locals = user.locals.into_iter().flat_map(PyDictMethods::iter);
        let mut variables: Vec<(String, usize)> = locals
            .chain(user.namespace.iter())
            .filter_map(|(name, value)| Some((name.extract().ok()?, value.as_ptr().addr())))
            .collect();
        variables.sort_by_key(|(name, _)| name.starts_with('_'));
        let mut names = HashMap::new();
        for (name, id) in variables {
            names.entry(id).or_insert(name);
        }
        for target in targets {
            let id = target.object.as_ptr().addr();
            names.entry(id).or_insert_with(|| target.name.clone());
        }
        Self(names)
    }
}

fn list<'py>(
    min: Option<usize>,
    targets: Vec<BufferTarget<'py>>,
    names: &VariableNames,
    py: Python<'py>,
) -> Result<Vec<Listed<'py>>, Error> {
    let tracemalloc = Tracemalloc::ask(py)?;
    let is_large = |found: &ExportedBuffer<'_>| match (min, &found.buffer) {
        (Some(min), Ok(buffer)) => buffer.layout.listed() >= min,
        _ => true,
    };
    let mut listed = Vec::new();
    for target in targets {
        let kind = type_name(&target.object);
        for found in target.found {
            if !is_large(&found) {
                continue;
            }
            let owner = match &found.buffer {
                Ok(buffer) => owner(buffer, names),
                Err(_) => BufferOwner::default(),
            };
            let allocated_at = match owner.span {
                Some(span) => match origins::allocator_of(span.start) {
                    Some(place) => Some(place),
                    None => tracemalloc.allocation_line(span.start)?,
                },
                None => None,
            };
            let name = format!("{}{}", target.name, found.part);
            listed.push(Listed {
                row_name: name.clone(),
                name,
                // A part is made for this report, and says nothing about the user's references.
                refs: found.part.is_empty().then_some(target.refs),
                kind: kind.clone(),
                buffer: found.buffer,
                owner,
                mapping: None,
                backed: Backed::default(),
                allocated_at,
                shares_with: Vec::new(),
            });
        }
    }
    Ok(listed)
}

/// An owner without a variable may be listed as a part of one: the block of a DataFrame.
fn name_owners(listed: &mut [Listed<'_>]) {
    let is_nameless = |one: &Listed<'_>| !one.owner.is_self && one.owner.name.is_none();
    if !listed.iter().any(is_nameless) {
        return;
    }
    let owners = listed.iter().filter(|one| one.owner.is_self);
    let names: HashMap<usize, String> =
        owners.map(|one| (one.owner.id, one.name.clone())).collect();
    for one in listed.iter_mut().filter(|one| is_nameless(one)) {
        one.owner.name = names.get(&one.owner.id).cloned();
    }
}

fn look_at_memory(one: &mut Listed<'_>, memory: &mut MemoryMap) {
    if let Some(span) = one.bounds().filter(|span| !span.is_empty()) {
        one.mapping = memory.mapping(span.start);
        one.backed = memory.backed(span);
    }
}

fn owner(buffer: &Buffer<'_>, names: &VariableNames) -> BufferOwner {
    let owner = buffer.owner();
    let exported = match buffer.is_owner() {
        true => None,
        false => exported_at(owner, buffer.layout.bounds().start),
    };
    let exporter = if buffer.is_owner() {
        Some(buffer)
    } else {
        exported.as_ref()
    };
    BufferOwner {
        name: names.0.get(&owner.as_ptr().addr()).cloned(),
        kind: type_name(owner),
        id: match &exported {
            Some(exported) => exported.owner_id(),
            None => buffer.owner_id(),
        },
        span: buffer
            .owner_span
            .or_else(|| exporter.map(|exporter| exporter.layout.bounds())),
        allocator: exporter.and_then(|exporter| exporter.allocator.clone()),
        is_self: buffer.is_owner(),
    }
}

/// What an object exports that has an address in it; an array of Arrow exports several buffers.
fn exported_at<'py>(object: &Bound<'py, PyAny>, address: usize) -> Option<Buffer<'py>> {
    let found = buffers::of(object, false).into_iter();
    let mut exported: Vec<_> = found.filter_map(|found| found.buffer.ok()).collect();
    let holds = |buffer: &Buffer<'_>| buffer.layout.bounds().contains(address);
    let place = exported.iter().position(holds).unwrap_or(0);
    (!exported.is_empty()).then(|| exported.swap_remove(place))
}

/// So many errors are told in full.
const ERRORS: usize = 8;

/// The sizes, and why some objects have shown no memory: too long for a table.
fn summary(folded: &[fold::FoldedRow], listed: &[Listed<'_>], sizes: &ListedSizes) -> Vec<String> {
    let error = |row: &fold::FoldedRow| {
        let error = listed[row.members[0]].buffer.as_ref().err()?;
        Some(format!("{}: {error}", row.name))
    };
    let shown = listed.iter().filter(|one| one.buffer.is_ok()).count();
    let mut sentences = vec![sizes.sentence(shown)];
    let mut errors: Vec<String> = folded.iter().filter_map(error).collect();
    let hidden = errors.len().saturating_sub(ERRORS);
    errors.truncate(ERRORS);
    sentences.extend(errors);
    if hidden > 0 {
        sentences.push(format!(
            "and {hidden} more have shown none; the field error says why"
        ));
    }
    sentences
}
