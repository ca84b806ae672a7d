//! The kernel's own log: to the standard error that it was started with, never to the user's.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

/// Sends the log to this file descriptor. `DIAPHANE_LOG` chooses what is logged, warnings if it is not set.
pub fn start(stderr: OwnedFd) {
    let filter = EnvFilter::try_from_env("DIAPHANE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // A line is one write, which needs no lock.
    let writer = Arc::new(File::from(stderr));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .without_time();
    if let Err(error) = log.try_init() {
        tracing::debug!(%error, "another log is there already");
    }
    // The standard hook would print into the user's cell.
    std::panic::set_hook(Box::new(|panic| tracing::error!("a diaphane bug: {panic}")));
}
