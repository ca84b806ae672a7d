//! Functions that stand in for the C library's: so it is known who starts threads, no signal handler is in the way of a
//! recording, an interrupt reaches the main thread, and what was printed is sent before the process ends.

mod exit;
mod pthread_create;
mod sigaction;

use diaphane_sight::threads::creation_records;
pub use diaphane_trace::interposition::Interposed;
use diaphane_trace::interposition::{NotInterposed, StandIn, interpose};

/// Begins to stand in for them in a process that is the kernel's. Where it cannot be, the process is as it would be
/// without us.
///
/// # Errors
/// Why it cannot be.
pub fn begin() -> Result<(), NotInterposed> {
    let all = [
        exit::stand_in(),
        pthread_create::stand_in()?,
        sigaction::stand_in(),
        sigaction::stand_in_of_signal(),
    ];
    let _for_good = place(&all)?;
    exit::listen();
    Ok(())
}

/// Begins to stand in for what recordings need, in a process of somebody else's, until that is undone.
///
/// # Errors
/// Why it cannot be.
pub fn begin_as_guest() -> Result<Interposed, NotInterposed> {
    place(&[
        pthread_create::stand_in()?,
        sigaction::stand_in_of_guest(),
        sigaction::stand_in_of_signal(),
    ])
}

#[allow(unsafe_code, reason = "functions of the C library are replaced")]
fn place(all: &[StandIn]) -> Result<Interposed, NotInterposed> {
    creation_records::begin();
    // SAFETY: each does what its original does, and something besides.
    unsafe { interpose(all) }
}
