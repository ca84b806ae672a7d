//! C002: BLAS got a copy, because it could not read an array as it lies.

use std::collections::BTreeMap;

use super::FindingsInput;
use crate::recording::arguments::lives::{Life, MemoryOwner};
use crate::recording::arguments::snapshot::View;
use crate::recording::arguments::{CalledFunction, Given};
use crate::recording::signatures::{Access, KnownFunction, MemoryArgument, SignatureCall};
use diaphane_report::view::bytes;
use diaphane_report::{Diagnosis, Severity};

/// A copy that was made for BLAS.
struct Copied<'a> {
    view: &'a View,
    why: String,
    function: &'a str,
    bytes: usize,
}

/// The copies that are sure.
pub(super) fn before_blas(input: &FindingsInput<'_>) -> Vec<Diagnosis> {
    let mut copies: BTreeMap<String, (Copied<'_>, usize)> = BTreeMap::new();
    // The ufunc whose loop ran last on a thread, such as `matmul`.
    let mut outer: BTreeMap<usize, &Given> = BTreeMap::new();
    for (log, given) in input.calls() {
        match &given.what {
            CalledFunction::Loop(..) => {
                outer.insert(log, given);
            }
            CalledFunction::Call(known, call) if call.flop.is_some() => {
                for (memory, owned) in read(given) {
                    let copied =
                        of_operand(input, known, outer.get(&log).copied(), given, memory, owned)
                            .or_else(|| of_temporary(input, known, call, given, memory, owned));
                    if let Some(copied) = copied {
                        let name = copied.view.name.clone();
                        copies.entry(name).or_insert((copied, 0)).1 += 1;
                    }
                }
            }
            CalledFunction::Call(..) => {}
        }
    }
    copies
        .into_values()
        .map(|(copied, times)| copied.tell(times))
        .collect()
}

/// The memory that BLAS reads.
fn read(given: &Given) -> impl Iterator<Item = (&MemoryArgument, MemoryOwner)> {
    let handed = given.handed();
    let read = handed.filter(|(_, memory, _)| memory.access == Access::Read && memory.bytes > 0);
    read.map(|(_, memory, owned)| (memory, owned))
}

/// The loop was given an array, and BLAS was given neither it nor any other.
fn of_operand<'a>(
    input: &FindingsInput<'a>,
    known: &KnownFunction,
    outer: Option<&Given>,
    given: &Given,
    memory: &MemoryArgument,
    owned: MemoryOwner,
) -> Option<Copied<'a>> {
    let outer = outer.filter(|_| owned == MemoryOwner::Nobody)?;
    let CalledFunction::Loop(about, _) = &outer.what else {
        return None;
    };
    if !about.is_general || known.is_of_lapack() {
        return None;
    }
    let inputs = outer.of.iter().take(about.inputs);
    let mut missing =
        inputs.filter(|owned| matches!(owned, MemoryOwner::Life(_)) && !given.of.contains(owned));
    let first = missing.next()?;
    let second = missing.find(|owned| *owned != first);
    // With two of them it is not known which one this is.
    let life = first
        .life(&input.arguments.lives)
        .filter(|_| second.is_none())?;
    let view = named(input, life)?;
    Some(Copied {
        view,
        why: reason(view, known)?,
        function: &known.signature.name,
        bytes: memory.bytes,
    })
}

/// BLAS was given memory that was allocated for this and into which nothing was computed, as large as an array that it
/// could not have read.
fn of_temporary<'a>(
    input: &FindingsInput<'a>,
    known: &KnownFunction,
    call: &SignatureCall,
    given: &Given,
    memory: &MemoryArgument,
    owned: MemoryOwner,
) -> Option<Copied<'a>> {
    let life = owned.life(&input.arguments.lives)?;
    if life.is_old || life.is_kept || life.is_written || known.is_of_lapack() {
        return None;
    }
    let item = known.item_size();
    let is_used = |view: &View| {
        let lives = given
            .of
            .iter()
            .filter_map(|owned| owned.life(&input.arguments.lives));
        lives
            .into_iter()
            .any(|life| life.span.contains(view.span.start))
    };
    let is_it = |view: &&View| {
        let shape = &view.layout.shape;
        let is_matrix = shape.len() == 2 || call.memory().count() == 2;
        view.is_named
            && is_matrix
            && shape.iter().product::<usize>() * item == memory.bytes
            && !is_used(view)
            && reason(view, known).is_some()
    };
    let mut fitting = input.watched.before.views.iter().filter(is_it);
    let view = fitting.next().filter(|_| fitting.next().is_none())?;
    Some(Copied {
        view,
        why: reason(view, known)?,
        function: &known.signature.name,
        bytes: memory.bytes,
    })
}

/// The name for an array as a whole.
fn named<'a>(input: &FindingsInput<'a>, life: &'a Life) -> Option<&'a View> {
    let views = input.watched.before.views.iter();
    let mut views = views.filter(|view| view.is_named && life.span.contains(view.span.start));
    views.next()
}

/// Why BLAS cannot read an array; nothing if it could.
fn reason(view: &View, known: &KnownFunction) -> Option<String> {
    if let Some(dtype) = known.dtype()
        && view.dtype != dtype
    {
        return Some(format!(
            "it is {}, and BLAS computes in {dtype}",
            view.dtype
        ));
    }
    let strides = &view.layout.strides;
    let item = view.layout.item.cast_signed();
    if !strides.contains(&item) {
        return Some(format!(
            "its items are not next to each other in any direction: strides {strides:?} for items of {item} bytes"
        ));
    }
    let by_columns = strides.first() == Some(&item);
    (known.is_fortran() && !by_columns)
        .then(|| "it lies row by row, and Fortran's functions want columns".to_owned())
}

impl Copied<'_> {
    fn tell(self, times: usize) -> Diagnosis {
        let name = &self.view.name;
        let once = match times {
            1 => String::new(),
            many => format!(" {many} times"),
        };
        Diagnosis {
            code: "C002",
            severity: Severity::Warn,
            title: format!("BLAS got a copy of `{name}`{once}, because {}.", self.why),
            evidence: vec![format!(
                "{}: the memory that it reads is not that of `{name}`; {} were copied",
                self.function,
                bytes((self.bytes * times) as f64)
            )],
            fix: format!(
                "Make the array that BLAS can read once and keep it: numpy.ascontiguousarray({name}), numpy.asfortranarray({name}) for SciPy's BLAS, or {name}.astype(...)."
            ),
        }
    }
}
