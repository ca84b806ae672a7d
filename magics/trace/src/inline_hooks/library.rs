//! A library that is ready to be hooked: its trampolines are written, its code is as it was.

use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::time::{Duration, Instant};

use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::Span;

use super::branches::Branches;
use super::functions::{Function, functions};
use super::prologue::{Prologue, Reason, prologue};
use super::text::Text;
use crate::inline_hooks::moved_code::{EntryPatch, Trampolines};
use crate::inline_hooks::text_patching;
use crate::recorder::functions as numbers;

/// A library with its trampolines.
#[derive(Debug)]
pub struct Ready {
    /// The library's file name.
    pub name: String,
    /// How many functions it has.
    pub functions: usize,
    /// How many cannot be hooked, and why.
    pub skipped: BTreeMap<Reason, usize>,
    /// The first addresses of those.
    pub skipped_at: Vec<(usize, Reason)>,
    /// How long it took.
    pub took: Duration,
    /// What is written, ordered by address.
    pub(super) patches: Vec<EntryPatch>,
    /// The executable segments.
    pub(super) code: Vec<Span>,
    /// Whether memory was as the file everywhere before the first jump.
    pub(super) is_as_in_file: bool,
    /// By this the linker knows it.
    pub(super) linker_name: CString,
    /// How far it lies from the addresses in its file.
    pub bias: usize,
    /// What it needs.
    pub(super) needed: Vec<String>,
    soname: Option<String>,
}

/// Why a library cannot be hooked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no decoder for it.
    #[error("only code of x86-64 processors can be hooked at its functions' entries")]
    Processor,
    /// It must not be changed.
    #[error("the recorder itself stands on it")]
    Needed,
    /// There is nothing to compare with.
    #[error("its file cannot be read, or is not the one that was loaded")]
    File,
    /// The linker changes its code itself.
    #[error("its code is changed by the dynamic linker")]
    Relocated,
    /// SELinux, or a service's settings.
    #[error("the system does not let code be changed (SELinux or MemoryDenyWriteExecute?)")]
    Denied,
    /// No gap is large enough.
    #[error("there is no memory for code within reach of it")]
    Room,
}

impl Ready {
    /// How many functions are hooked.
    #[must_use]
    pub fn hooked(&self) -> usize {
        self.patches.len()
    }

    /// Whether one of the names is its own.
    pub(super) fn is_among(&self, names: &[String]) -> bool {
        let own = [Some(&self.name), self.soname.as_ref()];
        let mut own = own.into_iter().flatten();
        own.any(|own| names.contains(own))
    }

    /// The patch in whose bytes an address lies, but for its first.
    pub(super) fn inside(&self, address: usize) -> Option<&EntryPatch> {
        let before = self.patches.partition_point(|patch| patch.at < address);
        let patch = &self.patches[before.checked_sub(1)?];
        (address < patch.at + patch.jump.len()).then_some(patch)
    }

    pub(super) fn prepare(library: &Library, words: &HashSet<usize>) -> Result<Self, Unfit> {
        let began = Instant::now();
        if library.image.has_text_relocations {
            return Err(Unfit::Relocated);
        }
        let maps = Maps::read().map_err(|_| Unfit::File)?;
        let text = Text::read(library, &maps).ok_or(Unfit::File)?;
        if text.segments.is_empty() {
            return Err(Unfit::File);
        }
        text_patching::may_open(library)?;
        let mut found = functions(library, &text);
        let branches = Branches::of(&found, &text);
        // What only branches lead to is the rare part of another function.
        found
            .functions
            .retain(|function| function.named || !branches.only_branch_to(function.span.start));
        let prologues = prologues(&found.functions, &text, &branches);
        let mut ready = Self {
            name: library.name.clone(),
            functions: found.functions.len(),
            skipped: BTreeMap::new(),
            skipped_at: Vec::new(),
            took: Duration::ZERO,
            patches: Vec::with_capacity(prologues.len()),
            code: text
                .segments
                .iter()
                .map(|segment| pages(segment.span))
                .collect(),
            is_as_in_file: text.changed.is_empty(),
            linker_name: CString::new(library.linker_name.clone()).map_err(|_| Unfit::File)?,
            bias: library.image.bias(),
            needed: library.image.needed.clone(),
            soname: library.image.soname.clone(),
        };
        let mut trampolines =
            Trampolines::near(library.span, prologues.len()).ok_or(Unfit::Room)?;
        for (function, prologue) in prologues {
            let start = function.span.start;
            let patch = prologue.and_then(|prologue| {
                let number = numbers::register(start).ok_or(Reason::Room)?;
                trampolines.add(&prologue, number, words.contains(&start), &text)
            });
            match patch {
                Ok(patch) => ready.patches.push(patch),
                Err(reason) => ready.skip(start, reason),
            }
        }
        trampolines.publish().ok_or(Unfit::Denied)?;
        ready.took = began.elapsed();
        Ok(ready)
    }

    fn skip(&mut self, start: usize, reason: Reason) {
        *self.skipped.entry(reason).or_default() += 1;
        self.skipped_at.push((start, reason));
    }
}

fn prologues(
    functions: &[Function],
    text: &Text,
    branches: &Branches,
) -> Vec<(Function, Result<Prologue, Reason>)> {
    let nexts = functions.iter().skip(1).map(|next| next.span.start);
    let ends = nexts.chain([usize::MAX]);
    let look =
        |(function, end): (&Function, usize)| (*function, prologue(function, end, text, branches));
    functions.iter().zip(ends).map(look).collect()
}

/// The whole pages of a segment.
fn pages(span: Span) -> Span {
    let page = rustix::param::page_size();
    Span::new(span.start, span.end.next_multiple_of(page))
}
