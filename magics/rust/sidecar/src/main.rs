//! Compiles the Rust cells of diaphane, by evcxr, in a process of its own.
//!
//! The kernel asks on standard input and hears on standard output (`diaphane-rust-protocol`). Nothing of a cell runs here:
//! evcxr's own child is a `relay`, which only says where the library is, and the kernel loads it.
//! evcxr is used as it is; `settings` keeps it from what a user's process should not suffer.

mod analyzer;
mod cancel;
mod code;
mod compiler;
mod defs;
mod dependencies;
mod diagnosis;
mod items;
mod kept;
mod look;
mod nesting;
mod relay;
mod report;
mod serve;
mod settings;
mod slot;
mod toolchain;
mod uses;

use std::process::ExitCode;

fn main() -> ExitCode {
    if relay::is_wanted() {
        return relay::run();
    }
    // As a wrapper around rustc it does not come back.
    evcxr::runtime_hook();
    match serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("diaphane-rust: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Says on standard error what happens meanwhile, as cargo says there what it compiles, and what went wrong.
#[allow(
    clippy::print_stderr,
    reason = "the kernel reads it, and whoever starts it by hand"
)]
fn tell(words: &str) {
    eprintln!("{words}");
}
