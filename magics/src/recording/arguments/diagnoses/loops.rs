//! C001 and C005: inner loops that do more than they seem to.

use std::collections::BTreeMap;

use super::{FindingsInput, count};
use crate::recording::arguments::lives::MemoryOwner;
use crate::recording::arguments::{CalledFunction, Given};
use diaphane_report::{Diagnosis, Severity};

/// Fewer items are not worth a word.
const MANY: usize = 1000;

/// C001: the loop for Python's objects calls Python for each item.
pub(super) fn of_objects(input: &FindingsInput<'_>) -> Vec<Diagnosis> {
    let mut items: BTreeMap<String, usize> = BTreeMap::new();
    for (_, given) in input.calls() {
        if let CalledFunction::Loop(about, looping) = &given.what
            && about.types.contains('O')
            && !about.is_general
        {
            let name = about.ufunc.clone().unwrap_or_else(|| "a ufunc".into());
            *items.entry(name).or_default() += looping.count;
        }
    }
    let many = items.into_iter().filter(|(_, items)| *items >= MANY);
    many.map(|(ufunc, items)| Diagnosis {
        code: "C001",
        severity: Severity::Warn,
        title: format!(
            "{ufunc} ran its loop for Python objects: it called Python once for each of {}.",
            count(items, "item")
        ),
        evidence: objects(input),
        fix: "Give the array a dtype of numbers: x.astype(float); look for what made it dtype=object.".into(),
    })
    .collect()
}

/// The arrays of objects that the cell names.
fn objects(input: &FindingsInput<'_>) -> Vec<String> {
    let views = input.watched.before.views.iter();
    let views = views.chain(&input.watched.after.views);
    let mut names: Vec<String> = views
        .filter(|view| view.is_named && view.dtype == "object")
        .map(|view| format!("{}: dtype=object", view.name))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// One way to use a loop: the thread, the ufunc, its types, and the operand in question.
type LoopUse = (usize, String, String, usize);

/// C005: an operand of another dtype goes through a buffer, piece by piece.
pub(super) fn through_buffers(input: &FindingsInput<'_>) -> Vec<Diagnosis> {
    let mut pieces: BTreeMap<LoopUse, (usize, usize)> = BTreeMap::new();
    for (log, given) in input.calls() {
        let CalledFunction::Loop(about, looping) = &given.what else {
            continue;
        };
        let Some(ufunc) = about.ufunc.clone().filter(|_| !about.is_general) else {
            continue;
        };
        for operand in strangers(given, about.inputs) {
            let way = (log, ufunc.clone(), about.types.clone(), operand);
            let (runs, items) = pieces.entry(way).or_default();
            *runs += 1;
            *items += looping.count;
        }
    }
    let told = pieces
        .into_iter()
        .filter(|(_, (runs, items))| *runs > 1 && *items >= MANY);
    told.filter_map(|((_, ufunc, types, operand), (runs, items))| {
        let wanted = dtype(types.chars().nth(operand)?)?;
        let mut views = input.watched.before.views.iter();
        let view = views.find(|view| {
            let size: usize = view.layout.shape.iter().product();
            view.is_named && size == items && view.dtype != wanted && is_number(&view.dtype)
        })?;
        Some(Diagnosis {
            code: "C005",
            severity: Severity::Info,
            title: format!(
                "{ufunc} converted `{}` from {} to {wanted} on the way, in {runs} pieces through a buffer.",
                view.name, view.dtype
            ),
            evidence: vec![format!("{} in {}", count(items, "item"), count(runs, "run of the inner loop"))],
            fix: format!(
                "Keep operands in one dtype; if `{0}` is used again, convert it once: {0}.astype(\"{wanted}\").",
                view.name
            ),
        })
    })
    .collect()
}

/// The operands that lie in no array, though they advance.
fn strangers(given: &Given, inputs: usize) -> Vec<usize> {
    let CalledFunction::Loop(_, looping) = &given.what else {
        return Vec::new();
    };
    let operands = given.of.iter().zip(&looping.arrays).take(inputs);
    let strange = operands
        .enumerate()
        .filter(|(_, (owned, (_, step)))| **owned == MemoryOwner::Nobody && *step != 0);
    strange.map(|(operand, _)| operand).collect()
}

fn is_number(dtype: &str) -> bool {
    ["int", "uint", "float", "complex", "bool"]
        .iter()
        .any(|kind| dtype.starts_with(kind))
}

/// NumPy's name of a type by its letter.
fn dtype(letter: char) -> Option<&'static str> {
    Some(match letter {
        'b' => "int8",
        'B' => "uint8",
        'h' => "int16",
        'H' => "uint16",
        'i' => "int32",
        'I' => "uint32",
        'l' | 'q' => "int64",
        'L' | 'Q' => "uint64",
        'e' => "float16",
        'f' => "float32",
        'd' => "float64",
        'F' => "complex64",
        'D' => "complex128",
        _ => return None,
    })
}
