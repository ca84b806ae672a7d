//! framehop, given what the kernel's own unwinder is given: the sections as they are mapped, and the copy of the stack.

use diaphane_sight::elf::image::Image;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::unwind::Snapshot;
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Module, Unwinder as _};
use gimli::{BaseAddresses, EhFrameHdr, NativeEndian, Pointer};
use object::elf;

use crate::verdict::Walk;

/// As many frames as the kernel follows.
const MOST: usize = 512;
/// What stands for an unknown frame pointer: nothing can be read there, and it is not 0, which would be a first function.
const UNKNOWN: u64 = 1 << 63 | 8;

/// The sections of a library, with their addresses in memory.
pub struct Sections {
    pub header: (u64, Vec<u8>),
    pub frames: (u64, Vec<u8>),
}

impl Sections {
    /// They are found as the kernel finds them: by the program headers.
    pub fn of(image: &Image) -> Option<Self> {
        let parts = || image.parts().iter();
        let header = parts().find(|part| part.kind == elf::PT_GNU_EH_FRAME)?.span;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header.start as u64);
        let copy = image.target().bytes(header.start, header.len());
        let parsed = EhFrameHdr::new(&copy, NativeEndian).parse(&bases, 8).ok()?;
        let Pointer::Direct(start) = parsed.eh_frame_ptr() else {
            return None;
        };
        let begin = usize::try_from(start).ok()?;
        let mut loaded = parts().filter(|part| part.kind == elf::PT_LOAD);
        let segment = loaded.find(|part| part.span.contains(begin))?.span;
        let frames = image.target().bytes(begin, segment.end - begin);
        Some(Self {
            header: (header.start as u64, copy),
            frames: (start, frames),
        })
    }
}

/// What framehop needs.
pub struct Peer(UnwinderX86_64<Vec<u8>>);

impl Peer {
    pub fn new(libraries: &[Library]) -> Self {
        let mut unwinder = UnwinderX86_64::new();
        for library in libraries {
            let Some(Sections { header, frames }) = Sections::of(&library.image) else {
                continue;
            };
            let range = |(start, bytes): &(u64, Vec<u8>)| *start..start + bytes.len() as u64;
            // All addresses are those in memory, so the module's own base is its base in memory.
            let sections = ExplicitModuleSectionInfo {
                base_svma: library.span.start as u64,
                eh_frame_hdr_svma: Some(range(&header)),
                eh_frame_svma: Some(range(&frames)),
                eh_frame_hdr: Some(header.1),
                eh_frame: Some(frames.1),
                ..Default::default()
            };
            let span = library.span.start as u64..library.span.end as u64;
            let base = library.span.start as u64;
            unwinder.add_module(Module::new(library.name.clone(), span, base, sections));
        }
        Self(unwinder)
    }

    pub fn cache() -> CacheX86_64 {
        CacheX86_64::new()
    }

    pub fn walk(&self, copy: &Snapshot, cache: &mut CacheX86_64) -> Walk {
        let known = |number| copy.registers.get(number).map(|value| value as u64);
        let stack = known(7).unwrap_or(UNKNOWN);
        let code = copy.registers.code as u64;
        let registers = UnwindRegsX86_64::new(code, stack, known(6).unwrap_or(UNKNOWN));
        let mut read = |address: u64| {
            let at = usize::try_from(address)
                .ok()
                .and_then(|address| address.checked_sub(copy.start))
                .ok_or(())?;
            let word = copy.stack.get(at..at.checked_add(8).ok_or(())?).ok_or(())?;
            word.try_into().map(u64::from_ne_bytes).map_err(|_| ())
        };
        let mut frames = self.0.iter_frames(code, registers, cache, &mut read);
        let mut codes = Vec::new();
        let complete = loop {
            match frames.next() {
                Ok(Some(frame)) if codes.len() < MOST => codes.push(frame.address() as usize),
                Ok(None) => break true,
                Ok(Some(_)) | Err(_) => break false,
            }
        };
        Walk {
            exact: codes.len(),
            codes,
            complete,
            searched: false,
        }
    }
}
