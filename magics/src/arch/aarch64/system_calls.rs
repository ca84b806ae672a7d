//! System calls that this processor does without.

use syscalls::Sysno;

/// There is `openat`.
pub const OPEN: Option<Sysno> = None;
/// There is `clone`.
pub const FORK: Option<Sysno> = None;
/// There is `clone`.
pub const VFORK: Option<Sysno> = None;
