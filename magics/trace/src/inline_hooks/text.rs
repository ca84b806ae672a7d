//! The code of a library, as its file has it, and where memory differs from that.
//!
//! Somebody else may have changed the code before us: a debugger, another tracer. What differs is left alone. Only
//! pages that were written to can differ, and only these are looked at: to read the others would bring all code of all
//! libraries into memory.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use diaphane_sight::files;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::{Maps, Region};
use diaphane_sight::proc::pages::Pages;
use diaphane_sight::proc::spans::{Span, read};

/// So many bytes are compared at once.
const BLOCK: usize = 64;
/// So many bytes are copied at once.
const CHUNK: usize = 1 << 20;

/// An executable segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// Where it lies.
    pub(super) span: Span,
    /// What the file has there.
    pub(super) bytes: Vec<u8>,
}

/// All executable segments of a library.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) segments: Vec<Segment>,
    /// The blocks that differ between memory and file, in order.
    pub(super) changed: Vec<Span>,
}

impl Text {
    /// Reads it; `None` where the file or memory cannot be read.
    pub(super) fn read(library: &Library, maps: &Maps) -> Option<Self> {
        let file = files::open(library.path.as_deref()?).ok()?;
        let (mut segments, mut changed) = (Vec::new(), Vec::new());
        let code = maps.within(library.span);
        for region in code.filter(|region| region.is_executable() && region.path().is_some()) {
            let mut bytes = vec![0; region.span.len()];
            let length = file_part(&file, region.offset, &mut bytes)?;
            bytes.truncate(length);
            let span = Span::new(region.span.start, region.span.start + length);
            let segment = Segment { span, bytes };
            for part in may_differ(region, &file) {
                changed.extend(segment.changed(part)?);
            }
            segments.push(segment);
        }
        Some(Self { segments, changed })
    }

    /// The segment that an address lies in.
    pub(super) fn segment(&self, address: usize) -> Option<&Segment> {
        let mut segments = self.segments.iter();
        segments.find(|segment| segment.span.contains(address))
    }

    /// The bytes of a span, cut where its segment ends.
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        let Some(segment) = self.segment(span.start) else {
            return &[];
        };
        let part = span.intersection(segment.span);
        &segment.bytes[part.start - segment.span.start..part.end - segment.span.start]
    }

    /// Whether memory differs from the file near these bytes.
    pub(super) fn is_changed(&self, span: Span) -> bool {
        let first = self
            .changed
            .partition_point(|block| block.end <= span.start);
        let block = self.changed.get(first);
        block.is_some_and(|block| block.overlaps(span))
    }
}

impl Segment {
    /// The blocks in a part of it that differ.
    fn changed(&self, part: Span) -> Option<Vec<Span>> {
        let part = part.intersection(self.span);
        // The file may end within the last page.
        if part.is_empty() {
            return Some(Vec::new());
        }
        let bytes = &self.bytes[part.start - self.span.start..part.end - self.span.start];
        let mut memory = vec![0; CHUNK.min(bytes.len())];
        let mut changed = Vec::new();
        for (index, file) in bytes.chunks(CHUNK).enumerate() {
            let start = part.start + index * CHUNK;
            let memory = &mut memory[..file.len()];
            if read(start, memory).ok()? != file.len() {
                return None;
            }
            if memory == file {
                continue;
            }
            let blocks = memory.chunks(BLOCK).zip(file.chunks(BLOCK));
            let differ = blocks.enumerate().filter(|(_, (one, other))| one != other);
            changed.extend(differ.map(|(block, (_, bytes))| {
                let at = start + block * BLOCK;
                Span::new(at, at + bytes.len())
            }));
        }
        Some(changed)
    }
}

/// The parts of a segment that may differ from its file: all of it, where Linux does not tell what was written to or the
/// file may be another one by now.
fn may_differ(region: &Region, file: &File) -> Vec<Span> {
    let is_its = file.metadata().is_ok_and(|it| it.ino() == region.inode);
    let copied = || Pages::open()?.copied(region.span);
    match is_its.then(copied) {
        Some(Ok(copied)) => copied,
        _ => vec![region.span],
    }
}

/// Reads up to the end of the file, behind which the last page of a segment may reach.
fn file_part(file: &File, offset: u64, into: &mut [u8]) -> Option<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64).ok()? {
            0 => break,
            count => done += count,
        }
    }
    Some(done)
}
