//! What lies in memory or in files of other programs: ELF images, call frame information, debug information, machine code.

use std::io::Write;
use std::sync::Arc;

use diaphane_sight::code::lines;
use diaphane_sight::elf::image::{Image, Part};
use diaphane_sight::linker::libraries::{Library, LibraryKind, Segment};
use diaphane_sight::proc::spans::Span;
use diaphane_sight::proc::target_process::TargetProcess;
use diaphane_sight::unwind::{Registers, Snapshot, Unwinder};
use object::elf;

/// How much of the input is code, for which the rest has call frame information.
const CODE: usize = 400;

/// An ELF file that is mapped as one piece, with the program headers that it has.
pub fn elf(data: &[u8]) {
    let image = Image::read(
        TargetProcess::OWN,
        data.as_ptr().addr(),
        parts(data),
        "hostile.so",
    );
    let _ = image.exports("PyInit_hostile");
    let _ = (image.function("f"), image.data("x"), image.span());
    let _ = (image.export("f"), image.import("puts"));
}

/// Code of 400 bytes and the table behind it, by which a stack is followed whose words are the rest.
pub fn call_frames(data: &[u8]) {
    let Some((_, table)) = data.split_at_checked(CODE) else {
        return;
    };
    let whole = span(data, 0, data.len());
    let parts = vec![
        part(elf::PT_LOAD, whole),
        part(elf::PT_GNU_EH_FRAME, span(data, CODE, data.len())),
    ];
    let library = library(data, parts, None);
    let start = 1 << 20;
    let mut registers = Registers::new(start, whole.start + 5);
    for number in (0..16).filter(|number| *number != 7) {
        registers.set(number, Some(start + 64));
    }
    let word = |byte: &u8| whole.start + usize::from(*byte) * 5 % CODE;
    let stack = table.iter().map(word).flat_map(usize::to_ne_bytes);
    let copy = Snapshot::new(registers, start, stack.collect());
    let _ = Unwinder::new(&[library]).unwind(copy);
}

/// A file with debug information, asked for the lines of a few addresses.
pub fn debug_lines(data: &[u8]) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else {
        return;
    };
    if file.write_all(data).is_err() {
        return;
    }
    let library = library(data, parts(data), Some(file.path()));
    for offset in (0..0x2000).step_by(0x10) {
        let _ = lines::line(data.as_ptr().addr() + offset, &library);
    }
}

/// Machine code at the beginnings of functions.
pub fn prologue(data: &[u8]) {
    let _ = diaphane_trace::inline_hooks::hostile::beginnings(data);
}

fn library(data: &[u8], parts: Vec<Part>, file: Option<&std::path::Path>) -> Library {
    let name = "hostile.so".to_owned();
    let image = Image::read(TargetProcess::OWN, data.as_ptr().addr(), parts, &name);
    Library {
        linker_name: String::new(),
        path: None,
        deleted: false,
        file: file.map(Into::into),
        kind: LibraryKind::Library,
        span: span(data, 0, data.len()),
        segments: vec![Segment {
            span: span(data, 0, CODE.min(data.len())),
            perms: "r-xp".into(),
        }],
        needed_by: Vec::new(),
        image: Arc::new(image),
        name,
    }
}

/// The program headers of an ELF file, cut where the input ends, as the dynamic linker makes sure.
fn parts(data: &[u8]) -> Vec<Part> {
    let number = |at: usize, bytes: usize| {
        let field = data.get(at..at.checked_add(bytes)?)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let header = |index: usize| {
        let at = number(32, 8)?.checked_add(index * 56)?;
        let at = (at < data.len()).then_some(at)?;
        let from = number(at + 16, 8)?.min(data.len());
        let length = number(at + 40, 8)?.min(data.len() - from);
        let kind = elf::ProgramType(u32::try_from(number(at, 4)?).ok()?);
        Some(Part {
            align: number(at + 48, 8)? as u64,
            ..part(kind, span(data, from, from + length))
        })
    };
    let count = number(56, 2).unwrap_or(0).min(32);
    (0..count).map_while(header).collect()
}

fn part(kind: elf::ProgramType, span: Span) -> Part {
    Part {
        kind,
        span,
        align: 1,
        is_executable: true,
    }
}

fn span(data: &[u8], from: usize, to: usize) -> Span {
    let start = data.as_ptr().addr();
    Span::new(start + from, start + to)
}
