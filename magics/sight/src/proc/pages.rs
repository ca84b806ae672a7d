//! Which pages of a range are in physical memory, which of them are huge or were written, and on which NUMA node they lie.
//!
//! Linux 6.7 and later tell it for any range in one call (`PAGEMAP_SCAN`); before that `/proc/self/pagemap` has one
//! number a page, which does not say what is huge. Neither needs a privilege.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use crate::proc::spans::Span;

/// How the bytes of a range are backed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Backing {
    /// In physical memory.
    pub present: usize,
    /// Of these, in huge pages; `None` where the kernel does not tell.
    pub huge: Option<usize>,
    /// Of these, never written, and so all one page of zeros; `None` where the kernel does not tell.
    pub zero: Option<usize>,
    /// In swap.
    pub swapped: usize,
}

/// The highest byte of a page's number in the table: it is in memory, in swap, and a page of a file.
const IS_PRESENT: u8 = 1 << 7;
const IS_SWAPPED: u8 = 1 << 6;
const IS_OF_FILE: u8 = 1 << 5;

/// What this process may know about its pages.
pub struct Pages {
    file: File,
    can_scan: bool,
}

impl Pages {
    /// Opens the kernel's table; fails where it is hidden.
    pub fn open() -> io::Result<Self> {
        let file = File::open("/proc/self/pagemap")?;
        let nothing = Span::new(0, 0);
        let can_scan = scan(&file, nothing, PRESENT, |_, _| ()).is_ok();
        Ok(Self { file, can_scan })
    }

    /// The same without `PAGEMAP_SCAN`, as before Linux 6.7.
    pub fn open_without_scan() -> io::Result<Self> {
        let file = File::open("/proc/self/pagemap")?;
        Ok(Self {
            file,
            can_scan: false,
        })
    }

    /// Whether the kernel tells what is huge and what is the page of zeros.
    pub fn knows_huge(&self) -> bool {
        self.can_scan
    }

    /// How a range is backed, to the byte: of a page at its ends only what lies in the range counts.
    pub fn of(&self, span: Span) -> io::Result<Backing> {
        if self.can_scan {
            self.scanned(span)
        } else {
            self.counted(span)
        }
    }

    fn scanned(&self, span: Span) -> io::Result<Backing> {
        let mut backing = Backing {
            huge: Some(0),
            zero: Some(0),
            ..Backing::default()
        };
        scan(
            &self.file,
            whole_pages(span),
            PRESENT | SWAPPED,
            |part, categories| {
                let bytes = part.intersection(span).len();
                let counts = |bit: u64| if categories & bit != 0 { bytes } else { 0 };
                backing.present += counts(PRESENT);
                backing.swapped += counts(SWAPPED);
                backing.huge = backing.huge.map(|huge| huge + counts(HUGE));
                backing.zero = backing.zero.map(|zero| zero + counts(ZERO));
            },
        )?;
        Ok(backing)
    }

    /// Of a private mapping of a file the pages that were written to, and so are this process's own copies. All others
    /// hold what the file has.
    pub fn copied(&self, span: Span) -> io::Result<Vec<Span>> {
        let mut copied: Vec<Span> = Vec::new();
        self.each(span, |page, flags| {
            if flags & (IS_PRESENT | IS_SWAPPED) == 0 || flags & IS_OF_FILE != 0 {
                return;
            }
            match copied.last_mut().filter(|last| last.end == page.start) {
                Some(last) => last.end = page.end,
                None => copied.push(page),
            }
        })?;
        Ok(copied)
    }

    /// The pages that were written since somebody has protected them from it (userfaultfd), as ranges of whole pages.
    ///
    /// # Errors
    /// Before Linux 6.7.
    pub fn written(&self, span: Span) -> io::Result<Vec<Span>> {
        self.ranges(span, WRITTEN)
    }

    /// What is in huge pages, as ranges.
    ///
    /// # Errors
    /// Before Linux 6.7.
    pub fn huge(&self, span: Span) -> io::Result<Vec<Span>> {
        self.ranges(span, HUGE)
    }

    fn ranges(&self, span: Span, category: u64) -> io::Result<Vec<Span>> {
        let mut ranges: Vec<Span> = Vec::new();
        scan(
            &self.file,
            whole_pages(span),
            category,
            |part, _| match ranges.last_mut().filter(|last| last.end == part.start) {
                Some(last) => last.end = part.end,
                None => ranges.push(part),
            },
        )?;
        Ok(ranges)
    }

    fn counted(&self, span: Span) -> io::Result<Backing> {
        let mut backing = Backing::default();
        self.each(span, |page, flags| {
            let bytes = page.intersection(span).len();
            backing.present += if flags & IS_PRESENT != 0 { bytes } else { 0 };
            backing.swapped += if flags & IS_SWAPPED != 0 { bytes } else { 0 };
        })?;
        Ok(backing)
    }

    /// Calls with each page of a range, and its flags.
    fn each(&self, span: Span, mut call: impl FnMut(Span, u8)) -> io::Result<()> {
        const AT_ONCE: usize = 8192;
        let (page, pages) = (page_size(), whole_pages(span));
        let mut at = pages.start;
        let mut entries = vec![0u8; 8 * AT_ONCE.min(pages.len() / page)];
        while at < pages.end {
            let want = 8 * AT_ONCE.min((pages.end - at) / page);
            let place = u64::try_from(at / page * 8).map_err(io::Error::other)?;
            self.file.read_exact_at(&mut entries[..want], place)?;
            for entry in entries[..want].chunks_exact(8) {
                call(Span::new(at, at + page), entry[7]);
                at += page;
            }
        }
        Ok(())
    }
}

/// The NUMA nodes on which the present pages of a range lie, in order.
///
/// Of a large range so many pages are asked, evenly spread; the second value says whether that was all of them.
pub fn nodes(span: Span) -> io::Result<(Vec<usize>, bool)> {
    const ASKED: usize = 4096;
    let (page, pages) = (page_size(), whole_pages(span));
    let count = pages.len() / page;
    let step = count.div_ceil(ASKED).max(1);
    let asked: Vec<usize> = (0..count)
        .step_by(step)
        .map(|index| pages.start + index * page)
        .collect();
    let mut nodes: Vec<usize> = Vec::new();
    for status in statuses(&asked)? {
        // A negative status says why a page lies nowhere: most often since it was never touched.
        if let Ok(node) = usize::try_from(status)
            && !nodes.contains(&node)
        {
            nodes.push(node);
        }
    }
    nodes.sort_unstable();
    Ok((nodes, step == 1))
}

/// The only NUMA node of this machine, if it has one.
pub fn only_node() -> Option<usize> {
    let online = fs::read_to_string("/sys/devices/system/node/online").ok()?;
    online.trim().parse().ok()
}

/// Whether the kernel gives transparent huge pages: the word in brackets, such as `madvise`.
pub fn huge_page_policy() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// The size of a page.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// The pages in which a range lies.
pub fn whole_pages(span: Span) -> Span {
    let page = page_size();
    if span.is_empty() {
        return Span::new(0, 0);
    }
    Span::new(span.start / page * page, span.end.next_multiple_of(page))
}

/// The kernel's `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// The kernel's `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ScannedRegion {
    start: u64,
    end: u64,
    categories: u64,
}

const WRITTEN: u64 = 1 << 1;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZERO: u64 = 1 << 5;
const HUGE: u64 = 1 << 6;

/// Calls `each` with every part of a range that is one of the wanted kinds, and what it is.
#[allow(unsafe_code, reason = "the ioctl has no safe form")]
fn scan(file: &File, span: Span, wanted: u64, mut each: impl FnMut(Span, u64)) -> io::Result<()> {
    /// `_IOWR('f', 16, struct pm_scan_arg)`.
    const PAGEMAP_SCAN: libc::c_ulong =
        0xC000_0000 | (size_of::<ScanArgument>() as libc::c_ulong) << 16 | 0x6610;
    let mut regions = [ScannedRegion::default(); 256];
    let mut at = span.start as u64;
    loop {
        let mut argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            start: at,
            end: span.end as u64,
            vec: regions.as_mut_ptr().addr() as u64,
            vec_len: regions.len() as u64,
            category_anyof_mask: wanted,
            return_mask: WRITTEN | PRESENT | SWAPPED | ZERO | HUGE,
            ..ScanArgument::default()
        };
        // SAFETY: the kernel writes into `argument`, which has the size that it states, and into `regions`, whose
        // address and length it states; both outlive the call.
        let found = unsafe { libc::ioctl(file.as_raw_fd(), PAGEMAP_SCAN as _, &mut argument) };
        let found = usize::try_from(found).map_err(|_| io::Error::last_os_error())?;
        for region in regions.iter().take(found) {
            each(
                Span::new(region.start as usize, region.end as usize),
                region.categories,
            );
        }
        if argument.walk_end >= span.end as u64 || argument.walk_end <= at {
            return Ok(());
        }
        at = argument.walk_end;
    }
}

/// The node of each page, or a negative error number.
#[allow(unsafe_code, reason = "the system call has no safe form")]
fn statuses(pages: &[usize]) -> io::Result<Vec<i32>> {
    let mut statuses = vec![-libc::ENOENT; pages.len()];
    if pages.is_empty() {
        return Ok(statuses);
    }
    // SAFETY: without nodes the call moves nothing; it reads `pages` and writes as many numbers into `statuses`.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            pages.len(),
            pages.as_ptr(),
            std::ptr::null::<i32>(),
            statuses.as_mut_ptr(),
            0,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(statuses)
}

#[cfg(test)]
mod tests;
