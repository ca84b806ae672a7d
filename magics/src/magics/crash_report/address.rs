//! What an address is that could not be used: which array, which stack, which file, which library.

use diaphane_report::view;
use diaphane_sight::crash::fault::{Access, Fault};
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::{MappingKind, Maps, Region};
use diaphane_sight::proc::spans::Span;

use super::arrays::NamedSpan;

/// So far from 0 an address comes of a null pointer: a field of a structure, or the first items.
const NEAR_NULL: usize = 1 << 16;
/// So far from an array an address may still come of it.
const NEAR_ARRAY: usize = 1 << 16;
/// On a stack that is used up the pointer stands in its last page, or below.
const PAGE: usize = 4096;
/// So far below a stack an address may still come of it.
const NEAR_STACK: usize = 1 << 20;

/// The kind of an address behind the end of a stack.
pub(super) const OVERFLOW: &str = "stack overflow";

/// What is known of the process when it is asked about.
pub(super) struct Surroundings<'a> {
    pub maps: &'a Maps,
    pub libraries: &'a [Library],
    pub arrays: &'a [NamedSpan],
    /// Those of before the cell.
    pub arrays_before: &'a [NamedSpan],
    /// Libraries of before the cell, by their files.
    pub libraries_before: &'a [NamedSpan],
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressKind {
    /// For programs.
    pub kind: &'static str,
    /// What stands behind the address.
    pub short: String,
    /// The sentences about it.
    pub sentences: Vec<String>,
}

impl AddressKind {
    fn new(kind: &'static str, short: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            short: short.into(),
            sentences: vec![sentence.into()],
        }
    }
}

impl Surroundings<'_> {
    /// Explains the address of a memory fault.
    pub(super) fn explain(&self, fault: &Fault) -> AddressKind {
        let region = self.maps.find(fault.address);
        let short = region.map_or("not mapped".to_owned(), |region| rights(region).to_owned());
        if fault.address < NEAR_NULL {
            return AddressKind::new(
                "null",
                short,
                "The address is near 0: a null pointer was followed.",
            );
        }
        let ways = [
            self.stack(fault),
            self.file(fault, region),
            self.array(fault, region, &short),
            self.library(fault, &short),
            region.map(|region| self.region(fault, region, &short)),
        ];
        let found = ways.into_iter().flatten().next();
        found.unwrap_or_else(|| {
            AddressKind::new(
                "unmapped",
                short,
                "Nothing is known of the address: no array, library or stack that there is now, or was when the cell began, is near it.",
            )
        })
    }

    /// The stack of the thread is used up.
    fn stack(&self, fault: &Fault) -> Option<AddressKind> {
        let mut above = self.maps.regions.iter();
        let stack = above
            .find(|region| region.span.end > fault.address && region.perms.starts_with("rw"))?;
        let is_near = fault.address.abs_diff(fault.stack) <= NEAR_STACK;
        let below = stack.span.start.saturating_sub(fault.address);
        let is_below = below > 0 && below <= NEAR_STACK && fault.stack < stack.span.start + PAGE;
        // From glibc 2.42 on the guard is a part of the stack's region that may not be used all the same, and neighbouring
        // stacks are one region: then the size is not known.
        let is_inside = below == 0 && fault.access != Some(Access::Execute);
        let size = match is_below {
            true => format!(" ({})", view::bytes(stack.span.len() as f64)),
            false => String::new(),
        };
        (is_near && (is_below || is_inside)).then(|| {
            AddressKind::new(
                OVERFLOW,
                "the guard page of a stack",
                format!("The stack of the thread is used up{size}."),
            )
        })
    }

    /// A file is shorter than its mapping.
    fn file(&self, fault: &Fault, region: Option<&Region>) -> Option<AddressKind> {
        let region = region.filter(|_| fault.signal == libc::SIGBUS)?;
        let path = region.path()?;
        let at = region.offset + (fault.address - region.span.start) as u64;
        let size = std::fs::metadata(path).map(|file| file.len());
        let sentence = match size {
            _ if region.deleted => format!(
                "The address is byte {at} of {path}, which was deleted, and shortened before."
            ),
            Ok(size) if size <= at => format!(
                "The address is byte {at} of {path}, which has {size} bytes now: the file was truncated after it was mapped."
            ),
            _ => format!(
                "The address is byte {at} of {path}, which could not be read there: the device failed, or the file was truncated."
            ),
        };
        Some(AddressKind::new(
            "file",
            "behind the end of a mapped file",
            sentence,
        ))
    }

    fn array(&self, fault: &Fault, region: Option<&Region>, short: &str) -> Option<AddressKind> {
        let address = fault.address;
        let inside = |arrays: &[NamedSpan]| {
            arrays
                .iter()
                .find(|array| array.span.contains(address))
                .cloned()
        };
        if let Some(array) = inside(self.arrays) {
            let (name, size) = (&array.name, view::bytes(array.span.len() as f64));
            let at = address - array.span.start;
            return Some(AddressKind::new(
                "inside an array",
                short,
                format!(
                    "The address is byte {at} of the array `{name}` ({size}), whose memory is {short}."
                ),
            ));
        }
        let freed = inside(self.arrays_before).filter(|_| region.is_none());
        if let Some(array) = freed {
            let (name, size) = (&array.name, view::bytes(array.span.len() as f64));
            let at = address - array.span.start;
            return Some(AddressKind::new(
                "freed array",
                short,
                format!(
                    "The address is byte {at} of what was the array `{name}` ({size}) when the cell began: it was freed, and something still uses its memory."
                ),
            ));
        }
        let distance = |array: &NamedSpan| match address {
            at if at >= array.span.end => at - array.span.end,
            at => array.span.start - at,
        };
        let nearest = self.arrays.iter().min_by_key(|array| distance(array));
        let array = nearest.filter(|array| distance(array) <= NEAR_ARRAY)?;
        let (name, size) = (&array.name, view::bytes(array.span.len() as f64));
        let (far, side) = match address >= array.span.end {
            true => (address - array.span.end, "behind the end"),
            false => (array.span.start - address, "before the beginning"),
        };
        Some(AddressKind::new(
            "outside of an array",
            short,
            format!("The address is {far} bytes {side} of the array `{name}` ({size})."),
        ))
    }

    fn library(&self, fault: &Fault, short: &str) -> Option<AddressKind> {
        let is_there = |span: Span| {
            self.libraries
                .iter()
                .any(|library| library.span.overlaps(span))
        };
        let mut before = self.libraries_before.iter();
        let gone = before.find(|one| one.span.contains(fault.address) && !is_there(one.span))?;
        Some(AddressKind::new(
            "unloaded library",
            short,
            format!(
                "The address was in {}, which was unloaded: something still uses its code or data.",
                gone.name
            ),
        ))
    }

    fn region(&self, fault: &Fault, region: &Region, short: &str) -> AddressKind {
        let what = match region.kind() {
            MappingKind::Stack => "the main thread's stack".to_owned(),
            MappingKind::Heap => "malloc's heap".to_owned(),
            MappingKind::File => format!("mapped from {}", region.path().unwrap_or_default()),
            MappingKind::Anonymous => "memory of no file".to_owned(),
            MappingKind::Special => format!(
                "the kernel's own {}",
                region.name.as_deref().unwrap_or_default()
            ),
        };
        let (kind, why) = match fault.access {
            Some(Access::Write) => ("read-only", "it may not be written"),
            Some(Access::Execute) => (
                "not code",
                "it is data and no code, to which something jumped",
            ),
            _ if region.perms.starts_with("---") => {
                ("guard page", "it is reserved, and may not be used")
            }
            _ => ("no access", "its rights do not allow this"),
        };
        AddressKind::new(
            kind,
            short,
            format!(
                "The memory at the address is {what} ({}): {why}.",
                region.perms
            ),
        )
    }
}

/// What a region's rights are in words.
fn rights(region: &Region) -> &'static str {
    match &region.perms[..3] {
        "---" => "reserved",
        "r--" => "read-only",
        "rw-" => "mapped, but no code",
        "r-x" => "read-only code",
        _ => "mapped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
10000000-10010000 r-xp 00000000 08:01 7 /lib/code.so
10010000-10020000 r--p 00010000 08:01 7 /lib/code.so
20000000-20100000 rw-p 00000000 00:00 0 
30000000-30001000 ---p 00000000 00:00 0 
30001000-30801000 rw-p 00000000 00:00 0 
40000000-40001000 r--s 00000000 08:01 9 /no/such/file
";

    fn explained(signal: i32, address: usize, stack: usize, access: Option<Access>) -> AddressKind {
        let array = |name: &str, start, end| NamedSpan {
            name: name.into(),
            span: Span::new(start, end),
        };
        let maps = Maps::parse(MAPS).unwrap();
        let surroundings = Surroundings {
            maps: &maps,
            libraries: &[],
            arrays: &[array("a", 0x2000_0010, 0x200f_fff0)],
            arrays_before: &[array("b", 0x5000_0000, 0x5010_0000)],
            libraries_before: &[array("/lib/gone.so", 0x6000_0000, 0x6001_0000)],
        };
        let fault = Fault {
            tid: 1,
            signal,
            code: 1,
            sender: 0,
            address,
            access,
            stack,
            instruction: 0,
            general: Vec::new(),
        };
        surroundings.explain(&fault)
    }

    #[test]
    fn an_address_is_what_lies_there_or_lay_there() {
        const ELSEWHERE: usize = 0x3050_0000;
        let [read, write, execute] = [Access::Read, Access::Write, Access::Execute].map(Some);
        let behind = "16 bytes behind the end of the array `a`";
        let freed = "byte 100 of what was the array `b`";
        let cases = [
            (0x10, read, "null", "near 0"),
            (0x3000_0ff8, write, OVERFLOW, "used up (8.4 MB)"),
            (0x2010_0000, read, "outside of an array", behind),
            (0x5000_0064, read, "freed array", freed),
            (0x6000_0064, execute, "unloaded library", "/lib/gone.so"),
            (0x1001_0004, write, "read-only", "it may not be written"),
            (0x1001_0004, execute, "not code", "it is data"),
            (0x7000_0000, read, "unmapped", "Nothing is known"),
        ];
        for (address, access, kind, sentence) in cases {
            let stack = if kind == OVERFLOW {
                0x3000_1000
            } else {
                ELSEWHERE
            };
            let found = explained(libc::SIGSEGV, address, stack, access);
            assert_eq!(found.kind, kind, "{address:#x}");
            assert!(found.sentences[0].contains(sentence), "{found:?}");
        }
        let file = explained(libc::SIGBUS, 0x4000_0010, 0x3050_0000, read);
        assert!(
            file.sentences[0].contains("byte 16 of /no/such/file"),
            "{file:?}"
        );
    }
}
