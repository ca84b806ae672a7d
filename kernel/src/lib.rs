//! The diaphane kernel: sockets, lanes, and the Python host.
//!
//! One thread ([`io`]) owns every socket and never takes the GIL. The main thread ([`host`]) runs CPython. They meet in
//! queues: [`lane`] towards Python, [`outbox`] back.
//! This crate never parses `/proc`, ELF or DWARF: that is `diaphane-sight`'s.

pub mod allocator;
pub mod capture;
pub mod children;
pub mod cli;
pub mod crash;
pub mod door;
pub mod exit;
pub mod guest_socket;
pub mod host;
pub mod input;
pub mod install;
pub mod interposed;
pub mod io;
pub mod kernel;
pub mod lane;
pub mod live_pictures;
pub mod log;
mod murmur;
pub mod notifier;
pub mod outbox;
pub mod python;
pub mod sigint;
pub mod signals;
mod working_folder;
