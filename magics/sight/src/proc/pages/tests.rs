//! What is told of pages, compared with `smaps` and with what was done to them.

use super::*;

const MIB: usize = 1 << 20;

/// Address space of its own, without any page yet.
struct Area(Span);

#[allow(unsafe_code, reason = "mmap has no safe form")]
impl Area {
    fn new(len: usize, advice: libc::c_int) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping replaces nothing, and the advice is about that mapping.
        let start = unsafe {
            let start = libc::mmap(std::ptr::null_mut(), len, rights, flags, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            assert_eq!(libc::madvise(start, len, advice), 0);
            start.addr()
        };
        Self(Span::new(start, start + len))
    }

    /// Writes to the first pages, and to the last: other tests look for descriptors of threads at the end of every
    /// region, and a page that was read is present too.
    fn write(&self, len: usize) {
        let first = (self.0.start..self.0.start + len).step_by(page_size());
        for at in first.chain([self.0.end - page_size()]) {
            // SAFETY: the address lies in a writable mapping of ours, which no reference points into.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(1) };
        }
    }

    fn read(&self, at: usize) -> u8 {
        // SAFETY: as above.
        unsafe { std::ptr::with_exposed_provenance::<u8>(self.0.start + at).read_volatile() }
    }
}

#[allow(unsafe_code, reason = "munmap has no safe form")]
impl Drop for Area {
    fn drop(&mut self) {
        let start = std::ptr::with_exposed_provenance_mut(self.0.start);
        // SAFETY: the mapping is ours, and nothing points into it any more.
        unsafe { libc::munmap(start, self.0.len()) };
    }
}

/// A field of the region in `smaps` that begins at an address, in bytes.
fn smaps(start: usize, field: &str) -> usize {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = text.lines();
    lines
        .find(|line| line.starts_with(&format!("{start:x}-")))
        .unwrap();
    let line = lines.find(|line| line.starts_with(field)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn what_was_written_is_present_and_the_rest_is_not() {
    let area = Area::new(8 * MIB, libc::MADV_NOHUGEPAGE);
    area.write(3 * MIB);
    for pages in [Pages::open().unwrap(), Pages::open_without_scan().unwrap()] {
        assert_eq!(pages.of(area.0).unwrap().present, 3 * MIB + page_size());
        let part = Span::new(area.0.start + 3 * MIB - 5, area.0.start + 4 * MIB);
        assert_eq!(pages.of(part).unwrap().present, 5, "counted to the byte");
        assert_eq!(pages.of(Span::new(7, 7)).unwrap().present, 0);
    }
    let scanned = Pages::open().unwrap().of(area.0).unwrap();
    assert!(matches!(scanned.huge, Some(0) | None));
}

#[test]
fn huge_pages_are_those_of_smaps() {
    let area = Area::new(32 * MIB, libc::MADV_HUGEPAGE);
    area.write(32 * MIB);
    let pages = Pages::open().unwrap();
    let told = || {
        let field = |name| smaps(area.0.start, name);
        (field("AnonHugePages:"), field("Rss:"))
    };
    // The kernel may put small pages together at any time, so a moment without a change is waited for.
    let (backing, (huge, present)) = std::iter::repeat_with(|| {
        let before = told();
        (pages.of(area.0).unwrap(), before, told())
    })
    .find_map(|(backing, before, after)| (before == after).then_some((backing, after)))
    .unwrap();
    if pages.knows_huge() {
        assert_eq!(backing.huge, Some(huge), "{backing:?}");
    }
    assert_eq!(backing.present, present);
}

#[test]
fn what_was_only_read_is_the_page_of_zeros() {
    let area = Area::new(MIB, libc::MADV_NOHUGEPAGE);
    assert_eq!((area.read(0), area.read(MIB - 1)), (0, 0));
    let backing = Pages::open().unwrap().of(area.0).unwrap();
    assert_eq!(backing.present, 2 * page_size());
    assert!(matches!(backing.zero, None | Some(4096..)), "{backing:?}");
}

#[test]
fn nodes_are_asked_page_by_page() {
    let area = Area::new(64 * MIB, libc::MADV_NOHUGEPAGE);
    assert_eq!(nodes(area.0).unwrap(), (vec![], false), "nothing touched");
    area.write(MIB);
    let part = Span::new(area.0.start, area.0.start + MIB);
    let (found, all) = nodes(part).unwrap();
    assert!(all && !found.is_empty());
    if let Some(only) = only_node() {
        assert_eq!(found, [only]);
    }
}

#[test]
fn addresses_without_memory_are_no_error_and_no_page() {
    let pages = Pages::open().unwrap();
    assert_eq!(pages.of(Span::new(4096, 8192)).unwrap().present, 0);
}

#[test]
#[allow(unsafe_code, reason = "a mapping of a file is made and written to")]
fn of_a_file_what_was_written_to_is_a_copy() {
    let page = page_size();
    let file = tempfile::tempfile().unwrap();
    file.set_len(8 * page as u64).unwrap();
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new private mapping where the system likes it.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            8 * page,
            rights,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED);
    let at = |index: usize| memory.cast::<u8>().wrapping_add(index * page);
    // SAFETY: the mapping has eight pages, which the file has too.
    unsafe { at(0).read_volatile() };
    for index in [2, 3, 6] {
        // SAFETY: as above.
        unsafe { at(index).write_volatile(1) };
    }
    let start = memory.addr();
    let span = |from: usize, to: usize| Span::new(start + from * page, start + to * page);
    let copied = Pages::open().unwrap().copied(span(0, 8)).unwrap();
    assert_eq!(copied, [span(2, 4), span(6, 7)]);
    // SAFETY: the mapping is ours, and nobody has a reference to it.
    unsafe { libc::munmap(memory, 8 * page) };
}
