//! Where code lies, and whether an address in it may be one that a call returns to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::rows::Spread;
use crate::elf::image::Image;
use crate::linker::libraries::Library;
use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

/// No more answers are remembered.
const MOST: usize = 1 << 16;

/// The executable segments, ordered by address.
pub(super) struct Code {
    segments: Vec<(Span, Arc<Image>)>,
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
        Self {
            segments: spans,
            calls: RefCell::default(),
        }
    }

    /// The image whose code an address lies in.
    pub(super) fn image(&self, address: usize) -> Option<&Arc<Image>> {
        let after = self
            .segments
            .partition_point(|(span, _)| span.start <= address);
        let (span, image) = self.segments[..after].last()?;
        span.contains(address).then_some(image)
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
        let look = || self.before(address).is_some_and(|(_, code)| is_call(&code));
        *calls.entry(address).or_insert_with(look)
    }

    /// The function that the call before this address calls, also through the tables of the dynamic linker; `None` where
    /// a register decided.
    pub(super) fn called_before(&self, address: usize) -> Option<usize> {
        let (target, code) = self.before(address)?;
        called(target, address, &code)
    }

    /// The bytes before an address of code, and whose they are.
    fn before(&self, address: usize) -> Option<(TargetProcess, Vec<u8>)> {
        let target = self.image(address)?.target();
        Some((target, target.bytes(address.wrapping_sub(LONGEST), LONGEST)))
    }
}

/// The longest form of a call.
const LONGEST: usize = 8;

/// Whether bytes end with one of the forms of a call.
#[cfg(target_arch = "x86_64")]
fn is_call(before: &[u8]) -> bool {
    let at = |back: usize| {
        before
            .len()
            .checked_sub(back)
            .and_then(|index| before.get(index))
            .copied()
    };
    // `call rel32`, and the forms through a register or memory, of two to seven bytes, whose second has 2 in its middle.
    let through = |length: usize| {
        at(length) == Some(0xff) && at(length - 1).is_some_and(|mode| mode & 0x38 == 0x10)
    };
    at(5) == Some(0xe8) || (2..=7).any(through)
}

/// Whether bytes end with one of the forms of a call.
#[cfg(not(target_arch = "x86_64"))]
fn is_call(_before: &[u8]) -> bool {
    false
}

/// The callee of the call that ends at an address.
#[cfg(target_arch = "x86_64")]
fn called(target: TargetProcess, address: usize, before: &[u8]) -> Option<usize> {
    let near =
        |distance: [u8; 4]| address.wrapping_add_signed(i32::from_le_bytes(distance) as isize);
    let end = |length: usize| {
        before
            .len()
            .checked_sub(length)
            .map(|start| &before[start..])
    };
    match (end(5)?, end(6)?) {
        (&[0xe8, a, b, c, d], _) => Some(through_the_plt(target, near([a, b, c, d]))),
        (_, &[0xff, 0x15, a, b, c, d]) => target.word(near([a, b, c, d])),
        _ => None,
    }
}

/// Where an entry of the procedure linkage table jumps to; any other code is its own callee.
#[cfg(target_arch = "x86_64")]
fn through_the_plt(target: TargetProcess, callee: usize) -> usize {
    // `endbr64`, which not every entry has, then `jmp *distance(%rip)`, which may have a prefix.
    let entry = target.bytes(callee, 16);
    let marked = entry
        .strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa])
        .unwrap_or(&entry);
    let jump = marked.strip_prefix(&[0xf2]).unwrap_or(marked);
    let Some(&[0xff, 0x25, a, b, c, d]) = jump.first_chunk::<6>() else {
        return callee;
    };
    let next = callee + (entry.len() - jump.len()) + 6;
    let distance = i32::from_le_bytes([a, b, c, d]) as isize;
    target
        .word(next.wrapping_add_signed(distance))
        .unwrap_or(callee)
}

/// The callee of the call that ends at an address.
#[cfg(not(target_arch = "x86_64"))]
fn called(_subject: TargetProcess, _address: usize, _before: &[u8]) -> Option<usize> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_bytes() {
        // As objdump shows them: e8 fb ff ff ff, ff d0, 41 ff d3, ff 50 10, ff 15 .. .. .. .., ff 94 24 .. .. .. ..
        let calls: [&[u8]; 6] = [
            &[0xe8, 0xfb, 0xff, 0xff, 0xff],
            &[0xff, 0xd0],
            &[0x41, 0xff, 0xd3],
            &[0xff, 0x50, 0x10],
            &[0xff, 0x15, 1, 2, 3, 4],
            &[0xff, 0x94, 0x24, 1, 2, 3, 4],
        ];
        for call in calls {
            assert!(
                is_call(&[&[0x90; 8][call.len()..], call].concat()),
                "{call:x?}"
            );
        }
        assert!(!is_call(&[0x90; 8]) && !is_call(&[]) && !is_call(&[0xff, 0xe0]));
        let here = is_call as *const () as usize;
        assert_eq!(
            called(TargetProcess::OWN, here, &[0x90, 0xe8, 0, 0, 0, 0]),
            Some(here)
        );
        assert_eq!(called(TargetProcess::OWN, here, &[0x90; 8]), None);
        let held = 42_usize;
        let address = (&raw const held).addr();
        assert_eq!(
            called(TargetProcess::OWN, address, &[0xff, 0x15, 0, 0, 0, 0]),
            Some(42)
        );
    }
}
