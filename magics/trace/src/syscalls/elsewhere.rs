//! In place of the recording on processors whose kernel does not dispatch system calls.

use super::{Plan, Recording, Refused};

/// There is none.
#[derive(Debug)]
pub struct Running(());

/// Refuses.
///
/// # Errors
/// Always.
pub fn begin(_plan: Plan) -> Result<Running, Refused> {
    Err(Refused::Unsupported(libc::ENOSYS))
}

impl Running {
    /// Gives nothing.
    pub fn end(self) -> Recording {
        Recording::default()
    }
}
