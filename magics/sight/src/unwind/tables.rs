//! The call frame information of a library, as its exceptions use it: `.eh_frame`, found through `.eh_frame_hdr`.
//!
//! It is copied from the mapped image once, since the library may be unloaded while somebody reads.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use diaphane_forks::ProcessLock;
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EhFrameHdr, EhFrameOffset, NativeEndian,
    ParsedEhFrameHdr, Pointer, UnwindContext, UnwindSection,
};
use object::elf;

use super::registers::STACK;
use crate::elf::image::Image;
use crate::proc::spans::Span;

/// A piece of code that one entry describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it lies.
    pub span: Span,
    /// Whether the stack holds nothing but the return address at its beginning, as behind a call.
    pub called: bool,
}

/// The pieces of code of an image, as its call frame information describes them; empty where it has none. What is asked
/// once for each library is not kept: the information of all is megabytes.
pub fn pieces(image: &Arc<Image>) -> Vec<Piece> {
    let tables = Tables::known(image).or_else(|| Tables::read(image).map(Arc::new));
    tables.map_or_else(Vec::new, |tables| tables.pieces())
}

/// Where the function begins that an address lies in, as the tables for exceptions tell; also of code without a name.
pub fn function_start(image: &Arc<Image>, address: usize) -> Option<usize> {
    let tables = Tables::of(image);
    let entry = tables.entry(address)?;
    usize::try_from(entry.initial_address()).ok()
}

/// Where a frame ends at the first instruction of a function.
const CALLED: CfaRule<usize> = CfaRule::RegisterAndOffset {
    register: gimli::Register(STACK),
    offset: size_of::<usize>() as i64,
};

/// Where the entry begins that comes last in the section.
fn last_entry(header: &ParsedEhFrameHdr<Bytes<'_>>, bases: &BaseAddresses) -> Option<usize> {
    let table = header.table()?;
    let mut entries = table.iter(bases);
    let mut last = None;
    while let Ok(Some((_, Pointer::Direct(entry)))) = entries.next() {
        last = last.max(Some(entry));
    }
    usize::try_from(last?).ok()
}

/// Copies of the two sections.
#[derive(Debug, Default)]
pub(super) struct Tables {
    bases: BaseAddresses,
    header: Vec<u8>,
    frames: Vec<u8>,
}

type Known = HashMap<usize, (Weak<Image>, Arc<Tables>)>;
static KNOWN: ProcessLock<Option<Known>> = ProcessLock::new(|| None);

/// A section of ours.
pub(super) type Bytes<'a> = gimli::EndianSlice<'a, NativeEndian>;

impl Tables {
    /// The information of an image; empty where it has none.
    pub(super) fn of(image: &Arc<Image>) -> Arc<Self> {
        if let Some(tables) = Self::known(image) {
            return tables;
        }
        let tables = Arc::new(Self::read(image).unwrap_or_default());
        let mut known = KNOWN.lock();
        let known = known.get_or_insert_default();
        // What was unloaded is not coming back at its place.
        known.retain(|_, (owner, _)| owner.strong_count() > 0);
        known.insert(image.bias(), (Arc::downgrade(image), Arc::clone(&tables)));
        tables
    }

    fn known(image: &Arc<Image>) -> Option<Arc<Self>> {
        let known = KNOWN.lock();
        let (owner, tables) = known.as_ref()?.get(&image.bias())?;
        let is_its = owner.upgrade().is_some_and(|it| Arc::ptr_eq(&it, image));
        is_its.then(|| Arc::clone(tables))
    }

    fn read(image: &Image) -> Option<Self> {
        let part = |kind| image.parts().iter().find(move |part| part.kind == kind);
        let header = part(elf::PT_GNU_EH_FRAME)?.span;
        let mut bases = BaseAddresses::default().set_eh_frame_hdr(header.start as u64);
        let copy = image.target().bytes(header.start, header.len());
        let parsed = EhFrameHdr::new(&copy, NativeEndian).parse(&bases, 8).ok()?;
        let Pointer::Direct(start) = parsed.eh_frame_ptr() else {
            return None;
        };
        let start = usize::try_from(start).ok()?;
        // The length is written nowhere in the image. But the section does not leave its segment, and nothing of it is
        // wanted behind the last entry that the table leads to.
        let mut loaded = image
            .parts()
            .iter()
            .filter(|part| part.kind == elf::PT_LOAD);
        let segment = loaded.find(|part| part.span.contains(start))?.span;
        let rest = Span::new(start, segment.end);
        let last = last_entry(&parsed, &bases).filter(|last| rest.contains(*last));
        let end = last.and_then(|last| {
            let length = image.target().bytes(last, size_of::<u32>());
            let length = u32::from_ne_bytes(length.try_into().ok()?) as usize;
            Some(last.saturating_add(size_of::<u32>()).saturating_add(length))
        });
        let end = end.map_or(rest.end, |end| end.min(rest.end));
        bases = bases.set_eh_frame(start as u64);
        Some(Self {
            frames: image.target().bytes(start, end - start),
            header: copy,
            bases,
        })
    }

    /// The entry of the function in which an address lies.
    pub(super) fn entry(&self, address: usize) -> Option<gimli::FrameDescriptionEntry<Bytes<'_>>> {
        let header = EhFrameHdr::new(&self.header, NativeEndian);
        let header = header.parse(&self.bases, 8).ok()?;
        let Pointer::Direct(place) = header.table()?.lookup(address as u64, &self.bases).ok()?
        else {
            return None;
        };
        let Pointer::Direct(start) = header.eh_frame_ptr() else {
            return None;
        };
        // gimli takes it for granted that no entry lies before the first.
        let offset = EhFrameOffset(usize::try_from(place.checked_sub(start)?).ok()?);
        let frames = self.frames();
        let entry = frames.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset);
        entry.ok().filter(|entry| entry.contains(address as u64))
    }

    /// What the information says about each piece of code.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let mut context = UnwindContext::new();
        let (frames, bases) = (self.frames(), self.bases());
        let mut entries = frames.entries(bases);
        let mut pieces = Vec::new();
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let Ok(entry) = partial.parse(EhFrame::cie_from_offset) else {
                continue;
            };
            let rows = entry.rows(&frames, bases, &mut context).ok();
            let called = rows.is_some_and(|mut rows| {
                let first = rows.next_row().ok().flatten();
                first.is_some_and(|row| *row.cfa() == CALLED)
            });
            let start = entry.initial_address() as usize;
            let span = Span::new(start, start.saturating_add(entry.len() as usize));
            pieces.push(Piece { span, called });
        }
        pieces
    }

    pub(super) fn frames(&self) -> EhFrame<Bytes<'_>> {
        EhFrame::new(&self.frames, NativeEndian)
    }

    pub(super) fn bases(&self) -> &BaseAddresses {
        &self.bases
    }
}
