//! In place of the recording on processors whose kernel does not dispatch system calls.

use std::ffi::c_int;

use libc::sigaction;

use crate::syscalls::{Install, SyscallPlan, SyscallRecording, SyscallsRefused};

/// There is none.
#[derive(Debug)]
pub struct RunningSyscalls(());

/// Refuses.
///
/// # Errors
/// Always.
pub fn begin(_plan: SyscallPlan) -> Result<RunningSyscalls, SyscallsRefused> {
    Err(SyscallsRefused::Unsupported(libc::ENOSYS))
}

impl RunningSyscalls {
    /// Gives nothing.
    pub fn end(self) -> SyscallRecording {
        SyscallRecording::default()
    }
}

/// Does what `sigaction` does: there is no recording whose signal a handler could block.
///
/// # Safety
/// As for `sigaction`.
#[allow(unsafe_code, reason = "it stands in for a C function")]
pub unsafe fn install_handler(
    install: Install,
    signal: c_int,
    action: *const sigaction,
    before: *mut sigaction,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { install(signal, action, before) }
}
