//! One watchpoint of one thread, as Linux gives it to programs: a perf event that signals.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Access, WatchRefused, WatchedSpot};

/// `PERF_TYPE_BREAKPOINT`.
const BREAKPOINT: u32 = 5;
/// `HW_BREAKPOINT_W` and `HW_BREAKPOINT_RW`.
const WRITES: u32 = 2;
const READS_AND_WRITES: u32 = 3;
/// `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_ulong = 8;
/// `PERF_EVENT_IOC_ENABLE` and `PERF_EVENT_IOC_DISABLE`, which count for inherited events too.
const ENABLE: libc::c_ulong = 0x2400;
const DISABLE: libc::c_ulong = 0x2401;

/// Bits of `perf_event_attr`: it begins disabled; threads that a watched one makes inherit it, and child processes do not
/// (`inherit_thread`); Linux's own accesses do not count, which would need privileges; it ends with `exec`; a hit is a
/// SIGTRAP of the thread.
const DISABLED: u64 = 1;
const INHERIT: u64 = 1 << 1;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const INHERIT_THREAD: u64 = 1 << 35;
const REMOVE_ON_EXEC: u64 = 1 << 36;
const SIGTRAP: u64 = 1 << 37;

/// `perf_event_attr` of linux/perf_event.h, up to `PERF_ATTR_SIZE_VER7`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    bp_addr: u64,
    bp_len: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved_2: u16,
    aux_sample_size: u32,
    reserved_3: u32,
    sig_data: u64,
}

/// A watchpoint; it ends with its value.
#[derive(Debug)]
pub(super) struct Breakpoint(OwnedFd);

/// A watchpoint on a thread of this process, which is not on yet. Its signals carry `data`.
#[allow(
    unsafe_code,
    reason = "the C library has no function for perf_event_open"
)]
pub(super) fn watch(
    tid: i32,
    spot: &WatchedSpot,
    access: Access,
    data: u64,
) -> io::Result<Breakpoint> {
    let attributes = Attributes {
        kind: BREAKPOINT,
        size: size_of::<Attributes>() as u32,
        sample_period: 1,
        flags: DISABLED
            | INHERIT
            | EXCLUDE_KERNEL
            | EXCLUDE_HYPERVISOR
            | INHERIT_THREAD
            | REMOVE_ON_EXEC
            | SIGTRAP,
        bp_type: match access {
            Access::Write => WRITES,
            Access::ReadOrWrite => READS_AND_WRITES,
        },
        bp_addr: spot.address as u64,
        bp_len: spot.length as u64,
        sig_data: data,
        ..Attributes::default()
    };
    let (any_cpu, no_group): (c_int, c_int) = (-1, -1);
    // SAFETY: Linux reads a `perf_event_attr` of the size that it says.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            tid,
            any_cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    match c_int::try_from(opened) {
        Ok(descriptor) if descriptor >= 0 => {
            // SAFETY: it is a new descriptor, which nobody else knows.
            Ok(Breakpoint(unsafe { OwnedFd::from_raw_fd(descriptor) }))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

impl Breakpoint {
    pub fn enable(&self) {
        self.tell(ENABLE);
    }

    pub fn disable(&self) {
        self.tell(DISABLE);
    }

    #[allow(unsafe_code, reason = "ioctl has no safe interface")]
    fn tell(&self, request: libc::c_ulong) {
        // SAFETY: both requests take a number, and the descriptor is of a perf event.
        unsafe { libc::ioctl(self.0.as_raw_fd(), request, 0) };
    }
}

/// Whether it was for want of descriptors.
pub(super) fn needs_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Why the first one was refused.
pub(super) fn refused(spot: &WatchedSpot, error: io::Error) -> WatchRefused {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => WatchRefused::Forbidden(error),
        Some(libc::ENOSPC) => WatchRefused::NoRegister,
        // An attribute that Linux does not know yet is too big for it; others are unknown to what stands in for it.
        Some(libc::E2BIG | libc::ENOSYS | libc::ENODEV | libc::EOPNOTSUPP | libc::ENOENT) => {
            WatchRefused::Unsupported(error)
        }
        _ if needs_descriptors(&error) => WatchRefused::Descriptors(error),
        _ => WatchRefused::Spot(spot.address, spot.length, error),
    }
}
