//! System calls that newer processors do without.

use syscalls::Sysno;

/// `open`, beside `openat`.
pub const OPEN: Option<Sysno> = Some(Sysno::open);
/// `fork`, beside `clone`.
pub const FORK: Option<Sysno> = Some(Sysno::fork);
/// `vfork`, beside `clone`; its child returns to the same frame, so the C library keeps the return address in `rdi`.
pub const VFORK: Option<Sysno> = Some(Sysno::vfork);
