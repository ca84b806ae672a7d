//! Code of ours that stands between other libraries and the C library: a call that passes through it is the other
//! library's, and not the kernel's.
//!
//! It is known by its place and not by names, which a stripped file does not have: all of it lies in one section, for
//! which the linker defines both ends. A function is put there by `#[unsafe(link_section = "diaphane_stand_ins")]`.

use crate::proc::spans::Span;

#[allow(
    unsafe_code,
    reason = "the linker's own names for the ends of a section"
)]
unsafe extern "C" {
    #[link_name = "__start_diaphane_stand_ins"]
    static START: u8;
    #[link_name = "__stop_diaphane_stand_ins"]
    static STOP: u8;
}

// Both ends are this file's own: a linker gives them to every other library of the process otherwise.
crate::arch::hide_ends!("diaphane_stand_ins");

/// Whether an address lies in such code. It lies there itself, so that the section is in every program that asks.
#[must_use]
#[allow(unsafe_code, reason = "a function is put into a section")]
#[unsafe(link_section = "diaphane_stand_ins")]
#[inline(never)]
pub fn is_stand_in(address: usize) -> bool {
    let (start, stop) = (&raw const START, &raw const STOP);
    Span::new(start.addr(), stop.addr()).contains(address)
}
