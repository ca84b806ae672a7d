//! What a running process is made of, as plain data: its libraries, memory regions, threads and host.
//!
//! Every probe looks at the process it runs in (stacks and libraries also at another one, see `target`) and asks the kernel, the dynamic linker or the mapped ELF image; where
//! none of them knows, the field is `None`.
//! It is not a tracer and not a renderer, knows neither Python nor Jupyter, and changes nothing in what it looks at:
//! no library is opened, no function called but the few documented ones that only read (`runtimes::pool_libraries`), and foreign memory is read through the kernel, so that a bad address is an
//! error and not a crash.

pub mod arch;
pub mod code;
pub mod crash;
pub mod elf;
mod error;
pub mod files;
pub mod linker;
pub mod own_memory;
pub mod packages;
pub mod proc;
pub mod regions;
pub mod runtimes;
pub mod stand_ins;
pub mod threads;
pub mod unwind;

pub use error::{Error, Result};
