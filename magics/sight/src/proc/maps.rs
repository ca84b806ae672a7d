//! The regions of memory as the kernel lists them in a process's `maps` and, with resident sizes, in `smaps`.
//!
//! A region is what the kernel calls a mapping; which library or array lies in it is for others to say.

mod queried;

use diaphane_forks::ForkOnce;
use serde::Serialize;

use crate::error::{Error, Result, read};
use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

/// What the kernel says about the origin of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MappingKind {
    /// A file is mapped.
    File,
    /// The area that `brk` grows.
    Heap,
    /// The main thread's stack.
    Stack,
    /// Memory without a file: arenas, large arrays, thread stacks.
    Anonymous,
    /// The kernel's own, such as `[vdso]`.
    Special,
}

/// One line of `maps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Its addresses.
    pub span: Span,
    /// The four letters `rwxp`, with `-` where a right is missing and `s` where the mapping is shared.
    pub perms: String,
    /// Where in the file it starts.
    pub offset: u64,
    /// The inode of the file; 0 without one.
    pub inode: u64,
    /// The path, or the kernel's name in brackets, without the mark of a deleted file.
    pub name: Option<String>,
    /// Whether the file's name is gone from the file system.
    pub deleted: bool,
}

impl Region {
    /// What the region is, by its name.
    pub fn kind(&self) -> MappingKind {
        match self.name.as_deref() {
            None => MappingKind::Anonymous,
            Some("[heap]") => MappingKind::Heap,
            Some("[stack]") => MappingKind::Stack,
            Some(name) if name.starts_with("[anon") => MappingKind::Anonymous,
            Some(name) if name.starts_with('[') => MappingKind::Special,
            Some(_) => MappingKind::File,
        }
    }

    /// The path of the mapped file.
    pub fn path(&self) -> Option<&str> {
        self.name
            .as_deref()
            .filter(|_| self.kind() == MappingKind::File)
    }

    /// Whether code may run here.
    pub fn is_executable(&self) -> bool {
        self.perms.as_bytes().get(2) == Some(&b'x')
    }
}

/// All regions, in the order of their addresses.
#[derive(Debug, Clone, Default)]
pub struct Maps {
    /// The regions.
    pub regions: Vec<Region>,
}

impl Maps {
    /// The regions of this process: by a question for each where the kernel answers such, which is faster.
    pub fn read() -> Result<Self> {
        match queried::all() {
            Some(mut regions) => {
                regions.extend(kernels_page()?);
                Ok(Self { regions })
            }
            None => Self::of(TargetProcess::OWN),
        }
    }

    /// Reads the regions of a process.
    pub fn of(target: TargetProcess) -> Result<Self> {
        let text = read(target.folder().join("maps"))?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// The region in which an address lies, alone in its list; empty if nothing is mapped there.
    pub fn at(address: usize) -> Result<Self> {
        Self::around(vec![address])
    }

    /// The regions in which some addresses lie, and no others.
    pub fn around(mut addresses: Vec<usize>) -> Result<Self> {
        addresses.sort_unstable();
        let is_asked = |region: &Region| {
            let first = addresses.partition_point(|address| *address < region.span.start);
            let first = addresses.get(first);
            first.is_some_and(|address| region.span.contains(*address))
        };
        let regions = match queried::around(&addresses) {
            Some(regions) => {
                let beyond = addresses.last().is_some_and(|last| last.cast_signed() < 0);
                let page = beyond.then(kernels_page).transpose()?.flatten();
                let regions = regions.into_iter();
                regions.chain(page.filter(is_asked)).collect()
            }
            None => {
                let all = Self::read()?.regions.into_iter();
                all.filter(is_asked).collect()
            }
        };
        Ok(Self { regions })
    }

    /// Parses the text of a `maps` file.
    pub fn parse(text: &str) -> Result<Self> {
        let unknown = |line: &str| Error::Line {
            path: MAPS.into(),
            line: line.to_owned(),
        };
        let regions = text
            .lines()
            .map(|line| region(line).ok_or_else(|| unknown(line)));
        Ok(Self {
            regions: regions.collect::<Result<_>>()?,
        })
    }

    /// The region in which an address lies.
    pub fn find(&self, address: usize) -> Option<&Region> {
        let after = self
            .regions
            .partition_point(|region| region.span.start <= address);
        self.regions[..after]
            .last()
            .filter(|region| region.span.contains(address))
    }

    /// The regions that share a byte with a span.
    pub fn within(&self, span: Span) -> impl Iterator<Item = &Region> {
        let first = self
            .regions
            .partition_point(|region| region.span.end <= span.start);
        self.regions[first..]
            .iter()
            .take_while(move |region| region.span.start < span.end)
    }
}

/// The page of old system calls, which is in the list and belongs to no process, so that no question finds it. It is there
/// or not since the system has started.
fn kernels_page() -> Result<Option<Region>> {
    static PAGE: ForkOnce<Option<Region>> = ForkOnce::new();
    if let Some(known) = PAGE.get() {
        return Ok(known.clone());
    }
    let last = Maps::of(TargetProcess::OWN)?.regions.pop();
    let page = last.filter(|region| region.span.start.cast_signed() < 0);
    Ok(PAGE.get_or_init(|| page).clone())
}

/// Reads which bytes of each region are in physical memory (slow: the kernel walks the page tables).
pub fn resident() -> Result<Vec<(Span, u64)>> {
    Ok(parse_resident(&String::from_utf8_lossy(&read(
        "/proc/self/smaps",
    )?)))
}

fn parse_resident(text: &str) -> Vec<(Span, u64)> {
    let mut sizes: Vec<(Span, u64)> = Vec::new();
    for line in text.lines() {
        if let Some(size) = line.strip_prefix("Rss:") {
            let kib: Option<u64> = size
                .trim()
                .strip_suffix(" kB")
                .and_then(|number| number.parse().ok());
            if let (Some(last), Some(kib)) = (sizes.last_mut(), kib) {
                last.1 = kib * 1024;
            }
        } else if let Some(region) = region(line) {
            sizes.push((region.span, 0));
        }
    }
    sizes
}

const MAPS: &str = "/proc/self/maps";

/// Parses `start-end perms offset major:minor inode   name`.
pub(crate) fn region(line: &str) -> Option<Region> {
    let mut rest = line;
    let mut field = || {
        let (field, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail.trim_start_matches(' ');
        field
    };
    let (start, end) = field().split_once('-')?;
    let perms = field();
    let offset = u64::from_str_radix(field(), 16).ok()?;
    field().split_once(':')?;
    let inode = field().parse().ok()?;
    // The kernel escapes only the line feed.
    let name = rest.replace("\\012", "\n");
    let (name, deleted) = unmarked(name);
    Some(Region {
        span: Span::new(
            usize::from_str_radix(start, 16).ok()?,
            usize::from_str_radix(end, 16).ok()?,
        ),
        perms: Some(perms).filter(|perms| perms.len() == 4)?.to_owned(),
        offset,
        inode,
        name: Some(name).filter(|name| !name.is_empty()),
        deleted,
    })
}

/// Takes the kernel's mark off the name of a deleted file, and says whether it was there.
fn unmarked(name: String) -> (String, bool) {
    match name.strip_suffix(" (deleted)") {
        Some(gone) if !std::path::Path::new(&name).exists() => (gone.to_owned(), true),
        _ => (name, false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_region_is_the_same_as_in_the_list() {
        let local = 0u8;
        let here = one_region_is_the_same_as_in_the_list as *const () as usize;
        let maps = Maps::read().unwrap();
        for address in [(&raw const local).addr(), here] {
            let one = Maps::at(address).unwrap();
            assert_eq!(one.regions.first(), maps.find(address));
        }
        assert!(Maps::at(8).unwrap().regions.is_empty());
        let several = vec![here, 8, (&raw const local).addr(), here + 1];
        let expected = [here, (&raw const local).addr()].map(|address| maps.find(address).cloned());
        let found = Maps::around(several).unwrap().regions;
        assert_eq!(found, expected.map(Option::unwrap));
    }

    #[test]
    fn the_kernels_own_page_is_among_the_regions() {
        let beyond = |maps: Maps| -> Vec<Region> {
            let regions = maps.regions.into_iter();
            regions
                .filter(|region| region.span.start.cast_signed() < 0)
                .collect()
        };
        let list = Maps::of(TargetProcess::OWN).unwrap();
        assert_eq!(beyond(Maps::read().unwrap()), beyond(list));
    }

    #[test]
    fn parses_what_the_kernel_writes() {
        let maps = Maps::parse(
            "55d0c0a00000-55d0c0a01000 r-xp 00002000 fe:00 1234   /usr/bin/a name\n\
             55d0c0b00000-55d0c0b21000 rw-p 00000000 00:00 0      [heap]\n\
             7f0000000000-7f0000001000 rw-s 00000000 00:01 77     /memfd:x (deleted)\n\
             7f0000001000-7f0000002000 ---p 00000000 00:00 0 \n\
             7f0000002000-7f0000003000 r--p 00000000 00:00 0      [vdso]\n",
        )
        .unwrap();
        let kinds: Vec<MappingKind> = maps.regions.iter().map(Region::kind).collect();
        assert_eq!(
            kinds,
            [
                MappingKind::File,
                MappingKind::Heap,
                MappingKind::File,
                MappingKind::Anonymous,
                MappingKind::Special
            ]
        );
        assert_eq!(maps.regions[0].path(), Some("/usr/bin/a name"));
        assert!(maps.regions[0].is_executable());
        assert_eq!(
            (maps.regions[2].path(), maps.regions[2].deleted),
            (Some("/memfd:x"), true)
        );
        assert_eq!(maps.find(0x7f00_0000_0fff).unwrap().inode, 77);
        assert_eq!(maps.find(0x7f00_0000_3000), None);
        assert_eq!(maps.find(0), None);
        assert_eq!(
            maps.within(Span::new(0x7f00_0000_0800, 0x7f00_0000_1800))
                .count(),
            2
        );
    }

    #[test]
    fn refuses_a_line_it_does_not_know() {
        let error = Maps::parse("nothing like it\n").unwrap_err();
        assert!(error.to_string().contains("nothing like it"));
    }

    #[test]
    fn finds_own_code_and_stack() {
        let maps = Maps::read().unwrap();
        let code = maps
            .find(finds_own_code_and_stack as *const () as usize)
            .unwrap();
        assert!(code.is_executable());
        assert_eq!(code.path(), std::env::current_exe().unwrap().to_str());
        assert!(
            maps.find((&raw const maps).addr())
                .unwrap()
                .perms
                .starts_with("rw")
        );
    }

    #[test]
    fn a_page_that_was_touched_is_resident() {
        let page = vec![1u8; 1 << 20];
        let address = page.as_ptr().addr();
        let sizes = resident().unwrap();
        let (span, rss) = sizes
            .iter()
            .find(|(span, _)| span.contains(address))
            .unwrap();
        assert!(*rss >= 1 << 20 && *rss <= span.len() as u64);
    }

    proptest! {
        #[test]
        fn parse_reads_back_what_was_written(
            start in 0usize..1 << 46, pages in 1usize..4096, offset: u32, inode: u64,
            perms in "[r-][w-][x-][ps]", name in "(/[a-z \\[\\].+-]{1,30}[a-z])?",
        ) {
            let end = start + pages * 4096;
            let line = format!("{start:x}-{end:x} {perms} {offset:08x} fe:01 {inode} {name:>20}");
            let region = &Maps::parse(&line).unwrap().regions[0];
            prop_assert_eq!(region.span, Span::new(start, end));
            prop_assert_eq!(&region.perms, &perms);
            prop_assert_eq!((region.offset, region.inode), (u64::from(offset), inode));
            prop_assert_eq!(region.name.as_deref().unwrap_or(""), name);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,200}") {
            let _ = Maps::parse(&text);
            let _ = parse_resident(&text);
        }
    }
}
