//! Functions that stand in for the C library's: so it is known who starts threads, no signal handler is in the way of a
//! recording, an interrupt reaches the main thread, and what was printed is sent before the process ends.

mod exit;
mod pthread_create;
mod sigaction;

use diaphane_sight::threads::creation_records;
use diaphane_trace::interposition::{NotInterposed, interpose};

/// Begins to stand in for them. Where it cannot be, the process is as it would be without us.
///
/// # Errors
/// Why it cannot be.
#[allow(unsafe_code, reason = "functions of the C library are replaced")]
pub fn begin() -> Result<(), NotInterposed> {
    let all = [
        exit::stand_in(),
        pthread_create::stand_in()?,
        sigaction::stand_in(),
    ];
    creation_records::begin();
    // SAFETY: each does what its original does, and something besides.
    unsafe { interpose(&all) }?;
    exit::listen();
    Ok(())
}
