//! Records what native code does while something runs: which functions are entered, on which thread, when.
//!
//! Unlike `diaphane-sight`, which only looks, a recording changes the process for as long as it lasts: pointers lead
//! through trampolines, code begins with jumps. All of it is undone at the end, whatever happens in between. It knows neither
//! Python nor Jupyter, and renders nothing.

mod arch;
mod budget;
pub mod clock;
mod closed_pages;
pub mod event;
pub mod got_hooks;
pub mod helper_thread;
pub mod inline_hooks;
pub mod interposition;
pub mod linker_events;
pub mod recorder;
pub mod sampler;

pub mod syscalls;
mod thread_copies;
pub mod trampolines;
pub mod watchpoints;
pub mod write_protection;

pub use budget::memory_budget;
