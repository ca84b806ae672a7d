//! What a process leaves behind when it dies: a black box, and a signal handler that has somebody read it in time.
//!
//! [`black_box`] is a mapped file that survives its process. [`handler`] notes a fault there, wakes the program's reporter
//! and waits; [`reader_process`] starts another process, which can look at this one whatever is broken in it.
//! What is read there, and how it is told, is for others.

pub mod alternate_stack;
pub mod black_box;
pub mod fault;
pub mod folder;
pub mod handler;
mod reader_process;
pub mod shared_text;
