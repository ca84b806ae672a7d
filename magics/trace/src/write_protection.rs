//! Which pages are written while something runs: they are protected from writing, and Linux notes each first write and lets
//! it through.
//!
//! It does so by itself (`UFFD_FEATURE_WP_ASYNC`, Linux 6.7): no signal comes and no thread waits, and its own writes, as
//! for `read`, count too. A descriptor holds all of it; without that, nothing is protected.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use diaphane_sight::proc::pages::{Pages, whole_pages};
use diaphane_sight::proc::spans::Span;

/// `UFFD_USER_MODE_ONLY`: what needs no privilege.
const USER_MODE_ONLY: libc::c_int = 1;
/// `UFFD_API`, which is the type of its ioctls too.
const API: u64 = 170;
/// Pages that were never touched count too, and Linux resolves each fault by itself.
const UNPOPULATED: u64 = 1 << 13;
const ASYNC: u64 = 1 << 15;
/// `UFFDIO_REGISTER_MODE_WP` and `UFFDIO_WRITEPROTECT_MODE_WP`.
const REGISTER_WRITES: u64 = 1 << 1;
const PROTECT: u64 = 1;
/// `MADV_COLLAPSE` (Linux 6.1).
const COLLAPSE: libc::c_int = 25;
/// The size of a huge page on x86-64 and on AArch64 with pages of 4 KiB.
const HUGE: usize = 2 << 20;

/// `struct uffdio_api`.
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    length: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_writeprotect`.
#[repr(C)]
struct Protect {
    start: u64,
    length: u64,
    mode: u64,
}

/// The number of an ioctl of userfaultfd that reads and writes a structure of this size.
const fn request(number: u64, size: usize) -> u64 {
    3 << 30 | (size as u64) << 16 | API << 8 | number
}

/// Pages that are being watched; it ends with its value.
#[derive(Debug)]
pub struct WriteProtection {
    _file: OwnedFd,
    /// What was in huge pages. Linux divides one when something in it is written.
    huge: Vec<Span>,
}

/// Why nothing is watched.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionRefused {
    /// By the system's rules.
    #[error("Linux does not allow userfaultfd here ({0}), as in some containers")]
    Forbidden(io::Error),
    /// Linux is too old.
    #[error("which pages are written is told by Linux 6.7 and later ({0})")]
    Unsupported(io::Error),
}

impl WriteProtection {
    /// Protects the pages in which these ranges lie. With it come the ranges that cannot be protected, each with the reason.
    ///
    /// # Errors
    /// If the system has no such thing, or forbids it.
    pub fn begin(spans: &[Span]) -> Result<(Self, Vec<(Span, io::Error)>), ProtectionRefused> {
        let pages = Pages::open().map_err(ProtectionRefused::Unsupported)?;
        if !pages.knows_huge() {
            let why = io::Error::from_raw_os_error(libc::ENOTTY);
            return Err(ProtectionRefused::Unsupported(why));
        }
        let file = open()?;
        let (mut huge, mut refused) = (Vec::new(), Vec::new());
        for span in spans {
            huge.extend(pages.huge(*span).unwrap_or_default());
            if let Err(error) = protect(&file, whole_pages(*span)) {
                refused.push((*span, error));
            }
        }
        Ok((Self { _file: file, huge }, refused))
    }

    /// Ends it, and joins the huge pages that were divided. How many bytes could not be joined.
    #[must_use]
    pub fn end(self) -> usize {
        let Self { _file: file, huge } = self;
        drop(file);
        let pages = Pages::open().ok();
        let left = |span: &Span| {
            join(*span);
            let is = pages.as_ref().and_then(|pages| pages.huge(*span).ok());
            let still: usize = is.iter().flatten().map(|part| part.len()).sum();
            span.len().saturating_sub(still)
        };
        huge.iter().map(left).sum()
    }
}

#[allow(unsafe_code, reason = "the system call has no safe form")]
fn open() -> Result<OwnedFd, ProtectionRefused> {
    // SAFETY: the call takes flags only.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_userfaultfd,
            libc::O_CLOEXEC | libc::O_NONBLOCK | USER_MODE_ONLY,
        )
    };
    let Ok(descriptor) = i32::try_from(opened) else {
        return Err(ProtectionRefused::Unsupported(io::Error::last_os_error()));
    };
    if descriptor < 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => ProtectionRefused::Forbidden(error),
            _ => ProtectionRefused::Unsupported(error),
        });
    }
    // SAFETY: it is a new descriptor, which nobody else knows.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let mut api = Api {
        api: API,
        features: UNPOPULATED | ASYNC,
        ioctls: 0,
    };
    tell(&file, request(63, size_of::<Api>()), &mut api).map_err(ProtectionRefused::Unsupported)?;
    Ok(file)
}

fn protect(file: &OwnedFd, pages: Span) -> io::Result<()> {
    let (start, length) = (pages.start as u64, pages.len() as u64);
    let mut register = Register {
        start,
        length,
        mode: REGISTER_WRITES,
        ioctls: 0,
    };
    tell(file, request(0, size_of::<Register>()), &mut register)?;
    let mut protect = Protect {
        start,
        length,
        mode: PROTECT,
    };
    tell(file, request(6, size_of::<Protect>()), &mut protect)
}

#[allow(unsafe_code, reason = "ioctl has no safe form")]
fn tell<T>(file: &OwnedFd, request: u64, argument: &mut T) -> io::Result<()> {
    // SAFETY: the callers give the structure that the request reads and writes, whose size is a part of its number.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), request as _, argument) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes huge pages of a range again, as far as Linux can at this moment.
#[allow(unsafe_code, reason = "madvise has no safe form for this advice")]
fn join(span: Span) {
    let (start, end) = (span.start.next_multiple_of(HUGE), span.end / HUGE * HUGE);
    if start < end {
        // SAFETY: the advice changes how the memory is backed, and nothing of what is in it.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, COLLAPSE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(memory: &[u8]) -> Vec<usize> {
        let span = Span::new(
            memory.as_ptr().addr(),
            memory.as_ptr().addr() + memory.len(),
        );
        let written = Pages::open().unwrap().written(span).unwrap();
        let pages = written
            .iter()
            .flat_map(|part| (part.start..part.end).step_by(4096));
        pages.map(|page| (page - span.start) / 4096).collect()
    }

    #[test]
    fn each_page_that_is_written_is_known() {
        let mut memory = vec![0_u8; 65 << 12];
        let first = memory.as_ptr().align_offset(4096);
        let memory = &mut memory[first..][..64 << 12];
        memory.fill(1);
        let span = Span::new(
            memory.as_ptr().addr(),
            memory.as_ptr().addr() + memory.len(),
        );
        let (protection, refused) = WriteProtection::begin(&[span]).unwrap();
        assert!(refused.is_empty());
        assert!(written(memory).is_empty());
        memory[5 << 12] = 2;
        memory[(20 << 12) + 100] = 1;
        let (mut reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"some").unwrap();
        io::Read::read_exact(&mut reader, &mut memory[40 << 12..][..4]).unwrap();
        assert_eq!(written(memory), [5, 20, 40]);
        assert_eq!(protection.end(), 0);
        memory.fill(3);
    }
}
