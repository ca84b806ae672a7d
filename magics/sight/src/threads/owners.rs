//! Whose code a thread runs: the library of the function that it was started with.
//!
//! That function is known where the thread's creation was recorded, and is read from the C library's descriptor of the thread
//! otherwise. Where neither helps, the outermost word on the stack that points into the code of a library other than the
//! C and C++ runtimes is taken.

use std::cell::OnceCell;
use std::collections::HashMap;

use serde::Serialize;

use crate::code::symbols::Table;
use crate::elf::demangle::demangle;
use crate::linker::libraries::{Library, LibraryKind};
use crate::proc::maps::Maps;
use crate::proc::spans::{Span, bytes};
use crate::proc::thread_descriptors::{descriptors, stack_end};
use crate::runtimes::families::{Family, family};
use crate::stand_ins::is_stand_in;
use crate::threads::Position;
use crate::threads::creation_records::CreationRecord;

/// How an owner was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The thread's creation was recorded.
    Hook,
    /// From the C library's descriptor of the thread.
    Descriptor,
    /// From the words on the thread's stack; a stale word could mislead.
    Scan,
}

/// Whose code a thread runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The index of the library in the list that was given.
    pub library: usize,
    /// An address in the function that the thread was started with.
    pub code: usize,
    /// The readable name of that function, where it is known.
    pub symbol: Option<String>,
    /// How it was found.
    pub confidence: Confidence,
}

/// Whether every thread starts through this library, whoever asked for it.
fn starts_all_threads(library: &Library) -> bool {
    matches!(library.kind, LibraryKind::Loader | LibraryKind::Vdso)
        || matches!(
            family(library),
            Some(Family::C | Family::Cpp | Family::Rust | Family::Compiler | Family::Linker)
        )
}

/// How much of a stack's outer end is looked at.
const OUTER_END: usize = 256 * 1024;

/// What is needed to find the owners of all threads.
pub(super) struct Owners<'a> {
    libraries: &'a [Library],
    maps: &'a Maps,
    code: Code,
    descriptors: OnceCell<HashMap<i32, usize>>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(libraries: &'a [Library], maps: &'a Maps) -> Self {
        Self {
            libraries,
            maps,
            code: Code::of(libraries),
            descriptors: OnceCell::new(),
        }
    }

    /// Finds the owner of a thread.
    pub(super) fn find(
        &self,
        tid: i32,
        record: Option<&CreationRecord>,
        position: Option<Position>,
    ) -> Option<Owner> {
        if let Some((library, code)) = record.and_then(|record| self.started_with(record)) {
            return Some(self.owner(library, code, Confidence::Hook));
        }
        let descriptor = self.descriptors.get_or_init(descriptors).get(&tid).copied();
        let (stack, confidence) = match position {
            Some(position) => (position.stack, Confidence::Scan),
            None => (descriptor?, Confidence::Descriptor),
        };
        let (library, code) = self.outermost(stack, descriptor.map(stack_end))?;
        Some(self.owner(library, code, confidence))
    }

    fn owner(&self, library: usize, code: usize, confidence: Confidence) -> Owner {
        let image = &self.libraries[library];
        let symbol = Table::of(image).at(code, image.image.bias());
        Owner {
            library,
            code,
            symbol: symbol.map(|symbol| demangle(&symbol.name)),
            confidence,
        }
    }

    /// The library and the function that a thread was born for.
    fn started_with(&self, record: &CreationRecord) -> Option<(usize, usize)> {
        let own = |address| Some((self.code.library(address)?, address));
        let mut libraries = self.libraries.iter();
        let starter = libraries.find(|library| library.span.contains(record.start));
        // What Rust's standard library starts its threads with is gone when they run.
        let is_rust = starter.and_then(family) == Some(Family::Rust);
        own(record.start).or_else(|| own(cpp_task(record.argument).filter(|_| !is_rust)?))
    }

    /// The outermost word on a stack that points into the code of an owner. Where the stack's end is not known, it is
    /// that of its region.
    fn outermost(&self, stack: usize, end: Option<usize>) -> Option<(usize, usize)> {
        let region = self.maps.find(stack)?.span;
        let end = end
            .filter(|end| (stack..=region.end).contains(end))
            .unwrap_or(region.end);
        let outer = Span::new(stack.max(end.saturating_sub(OUTER_END)), end);
        let aligned = outer.start.next_multiple_of(size_of::<usize>());
        let words = bytes(aligned, outer.end.saturating_sub(aligned));
        let (words, _) = words.as_chunks::<{ size_of::<usize>() }>();
        let mut words = words.iter().rev().map(|word| usize::from_ne_bytes(*word));
        words.find_map(|address| {
            // Where the creation was recorded, our own function lies outermost, and passes on.
            let library = self
                .code
                .library(address)
                .filter(|_| !is_stand_in(address))?;
            Some((library, address))
        })
    }
}

/// What a `std::thread` of libstdc++ runs: its start routine gets an object whose third virtual function is the task.
fn cpp_task(state: usize) -> Option<usize> {
    const TASK: usize = 2;
    let word = |address: usize| {
        let word = bytes(address, size_of::<usize>());
        Some(usize::from_ne_bytes(word.try_into().ok()?))
    };
    word(word(state)?.checked_add(TASK * size_of::<usize>())?)
}

/// The executable segments of the libraries that can own a thread, ordered by address.
struct Code(Vec<(Span, usize)>);

impl Code {
    fn of(libraries: &[Library]) -> Self {
        let may_own = |library: &Library| !starts_all_threads(library);
        let owners = libraries
            .iter()
            .enumerate()
            .filter(|(_, library)| may_own(library));
        let mut spans: Vec<_> = owners
            .flat_map(|(index, library)| {
                let code = library
                    .segments
                    .iter()
                    .filter(|segment| segment.perms.contains('x'));
                code.map(move |segment| (segment.span, index))
            })
            .collect();
        spans.sort_unstable();
        Self(spans)
    }

    fn library(&self, address: usize) -> Option<usize> {
        let after = self.0.partition_point(|(span, _)| span.start <= address);
        self.0[..after]
            .last()
            .filter(|(span, _)| span.contains(address))
            .map(|&(_, library)| library)
    }
}
