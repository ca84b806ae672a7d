//! Call frame information and stacks that somebody wrote to do harm: each walk must end, and none may panic.

use std::sync::Arc;

use object::elf;
use proptest::prelude::*;

use super::{DEPTH, Registers, Snapshot, Unwinder};
use crate::elf::image::{Image, Part};
use crate::linker::libraries::{Library, LibraryKind, Segment};
use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

/// Code that is calls alone, so that every fifth address is one that a call returns to.
const CALL: [u8; 5] = [0xe8, 0, 0, 0, 0];
const CODE: usize = 4000;
const HEADER: usize = 20;

/// A library that lies in a buffer, with one function, whose information is `program`.
struct Made {
    bytes: Vec<u8>,
    library: Library,
}

impl Made {
    fn new(program: &[u8], length: u32) -> Self {
        let mut bytes = CALL.repeat(CODE / CALL.len());
        let near =
            |distance: usize, from: usize| (distance.wrapping_sub(from) as u32).to_le_bytes();
        let frames = CODE + HEADER;
        // The CIE: version 1, "zR", factors 1 and -8, the return address in column 16, distances from the place.
        let common = [
            1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0,
        ];
        let entry = frames + 8 + common.len();
        bytes.extend([1, 0x1b, 0x03, 0x3b]);
        bytes.extend(near(frames, CODE + 4));
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(near(0, CODE));
        bytes.extend(near(entry, CODE));
        bytes.extend((common.len() as u32 + 4).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(common);
        bytes.extend((program.len() as u32 + 13).to_le_bytes());
        bytes.extend(near(entry + 4, frames));
        bytes.extend(near(0, entry + 8));
        bytes.extend(length.to_le_bytes());
        bytes.push(0);
        bytes.extend(program);
        let span = |from: usize, to: usize| {
            let start = bytes.as_ptr().addr();
            Span::new(start + from, start + to)
        };
        let part = |kind, span| Part {
            kind,
            span,
            align: 1,
            is_executable: true,
        };
        let parts = vec![
            part(elf::PT_LOAD, span(0, bytes.len())),
            part(elf::PT_GNU_EH_FRAME, span(CODE, frames)),
        ];
        let image = Image::read(TargetProcess::OWN, bytes.as_ptr().addr(), parts, "made.so");
        let library = Library {
            name: "made.so".into(),
            linker_name: String::new(),
            path: None,
            deleted: false,
            file: None,
            kind: LibraryKind::Library,
            span: span(0, bytes.len()),
            segments: vec![Segment {
                span: span(0, CODE),
                perms: "r-xp".into(),
            }],
            needed_by: Vec::new(),
            image: Arc::new(image),
        };
        Self { bytes, library }
    }

    /// Follows a stack of words, each of which is an address behind a call, where it is not 0.
    fn follow(&self, words: &[usize], registers: usize) -> usize {
        // The second walk goes by what the first one has remembered.
        self.follow_all(&[words, words], registers)
    }

    /// Follows stacks one after the other; returns how many frames the last one has.
    fn follow_all(&self, stacks: &[&[usize]], registers: usize) -> usize {
        let code = |word: usize| self.bytes.as_ptr().addr() + word * CALL.len() % CODE;
        let start = 1 << 20;
        let mut known = Registers::new(start, code(1));
        for number in (0..16).filter(|number| *number != 7) {
            known.set(number, Some(registers));
        }
        let mut unwinder = Unwinder::new(std::slice::from_ref(&self.library));
        let follow = |words: &&[usize]| {
            let word = |&word: &usize| if word == 0 { 0 } else { code(word) };
            let stack = words.iter().map(word).flat_map(usize::to_ne_bytes);
            let copy = Snapshot::new(known, start, stack.collect());
            unwinder.unwind(copy).frames.len()
        };
        stacks.iter().map(follow).last().unwrap_or(0)
    }
}

#[test]
fn the_tables_of_these_tests_are_read() {
    // Nothing beside the CIE's rules: each frame is its return address.
    let made = Made::new(&[], CODE as u32);
    assert_eq!(made.follow(&[2, 3, 4, 0], 0), 4);
}

#[test]
fn an_expression_that_jumps_back_ends() {
    // DW_CFA_def_cfa_expression: DW_OP_skip -3.
    let made = Made::new(&[0x0f, 3, 0x2f, 0xfd, 0xff], CODE as u32);
    assert!(made.follow(&[2, 3, 4, 0], 0) > 0);
}

#[test]
fn a_stack_full_of_addresses_without_information_ends() {
    // Calls of numbers below 400 have information. Where the other one found its caller before, it lies above it.
    let made = Made::new(&[], CODE as u32 / 2);
    let full = vec![500; DEPTH / size_of::<usize>()];
    assert_eq!(made.follow(&[500, 2, 0], 0), 3);
    // The threads of Rust's tests have 2 MiB, as many as those of libraries.
    assert!(made.follow_all(&[&[500, 2, 0], &full], 0) > 0);
}

proptest! {
    #[test]
    fn every_program_ends(
        program in prop::collection::vec(any::<u8>(), 0..40),
        words in prop::collection::vec(0_usize..40, 0..60),
        registers in prop_oneof![Just(0), Just(1 << 20), Just(usize::MAX - 3), any::<usize>()],
        length in prop_oneof![Just(0), Just(CODE as u32), Just(u32::MAX)],
    ) {
        Made::new(&program, length).follow(&words, registers);
    }

    #[test]
    fn every_frame_ends(register in 0_u8..18, offset: u32, words in prop::collection::vec(0_usize..40, 0..60)) {
        // DW_CFA_def_cfa_sf and a saved stack pointer.
        let mut program = vec![0x12, register];
        program.extend((0..5).map(|at| (offset >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 }));
        program.extend([0x87, register]);
        for registers in [0, 1 << 20, usize::MAX - 3] {
            Made::new(&program, CODE as u32).follow(&words, registers);
        }
    }
}
