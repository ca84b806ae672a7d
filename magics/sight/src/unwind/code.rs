//! Where code lies, and whether an address in it may be one that a call returns to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::rows::Spread;
use crate::arch::{CallTarget, calls};
use crate::elf::image::Image;
use crate::linker::libraries::Library;
use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

/// No more answers are remembered.
const MOST: usize = 1 << 16;

/// The library that lets several Python stacks take turns in one native stack, by copying them away and back.
const STACK_COPIER: &str = "_greenlet.";

/// The executable segments, ordered by address.
pub(super) struct Code {
    segments: Vec<(Span, Arc<Image>)>,
    /// The images that copy stacks.
    copiers: Vec<Span>,
    /// Whether calls end at addresses: each answer is a question to the kernel, and searches ask for the same words again.
    calls: RefCell<HashMap<usize, bool, BuildHasherDefault<Spread>>>,
}

impl Code {
    pub(super) fn of(libraries: &[Library]) -> Self {
        let mut spans: Vec<(Span, Arc<Image>)> = Vec::new();
        for library in libraries {
            let code = library
                .segments
                .iter()
                .filter(|part| part.perms.contains('x'));
            spans.extend(code.map(|part| (part.span, Arc::clone(&library.image))));
        }
        spans.sort_unstable_by_key(|(span, _)| *span);
        let copiers = libraries
            .iter()
            .filter(|library| library.name.starts_with(STACK_COPIER));
        Self {
            segments: spans,
            copiers: copiers.map(|library| library.span).collect(),
            calls: RefCell::default(),
        }
    }

    /// Whether this is the code of the same images at the same places.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let pairs = || self.segments.iter().zip(&other.segments);
        self.segments.len() == other.segments.len()
            && pairs().all(|(one, its)| one.0 == its.0 && Arc::ptr_eq(&one.1, &its.1))
    }

    /// The image whose code an address lies in.
    pub(super) fn image(&self, address: usize) -> Option<&Arc<Image>> {
        let after = self
            .segments
            .partition_point(|(span, _)| span.start <= address);
        let (span, image) = self.segments[..after].last()?;
        span.contains(address).then_some(image)
    }

    /// Whether code copies stacks: what lies behind its frames may belong to others by now.
    pub(super) fn copies_stacks(&self, address: usize) -> bool {
        self.copiers.iter().any(|span| span.contains(address))
    }

    /// Whether a call instruction ends at this address of code.
    pub(super) fn follows_a_call(&self, address: usize) -> bool {
        if self.image(address).is_none() {
            return false;
        }
        let mut calls = self.calls.borrow_mut();
        if calls.len() >= MOST {
            calls.clear();
        }
        let look = || {
            self.before(address)
                .is_some_and(|(_, code)| calls::is_call(&code))
        };
        *calls.entry(address).or_insert_with(look)
    }

    /// The function that the call before this address calls, also through the tables of the dynamic linker; `None` where
    /// a register decided.
    pub(super) fn called_before(&self, address: usize) -> Option<usize> {
        let (target, code) = self.before(address)?;
        follow(target, calls::called(address, &code)?)
    }

    /// The bytes before an address of code, and whose they are.
    fn before(&self, address: usize) -> Option<(TargetProcess, Vec<u8>)> {
        let target = self.image(address)?.target();
        Some((
            target,
            target.bytes(address.wrapping_sub(calls::LONGEST), calls::LONGEST),
        ))
    }
}

/// Where a call leads in the end.
fn follow(target: TargetProcess, called: CallTarget) -> Option<usize> {
    match called {
        CallTarget::Pointer(address) => target.word(address),
        // Where it is an entry of the procedure linkage table; any other code is its own callee.
        CallTarget::Code(callee) => {
            let entry = target.bytes(callee, calls::PLT_ENTRY);
            let pointer = calls::plt_pointer(callee, &entry);
            pointer
                .and_then(|address| target.word(address))
                .or(Some(callee))
        }
    }
}
