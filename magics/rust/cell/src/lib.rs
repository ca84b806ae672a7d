//! What a Rust cell stands on: the memory that Python exports to it, and the way of its results back.
//!
//! [`abi`] is what both sides agree on; the kernel fills it. The rest is for cells: their generated code borrows Python's
//! memory from a [`Cell`], runs the user's statements in [`enter`], and gives results away by [`Give`].
//! Generic code is compiled again in every cell, so there is as little of it as can be.

pub mod abi;
mod cell;
mod give;
mod keep;
mod panics;
mod recover;
mod run;
mod show;
#[cfg(feature = "ndarray")]
mod views;

pub use cell::{Cell, Element};
pub use give::Give;
#[cfg(feature = "ndarray")]
pub use ndarray;
#[cfg(feature = "ndarray")]
pub use num_complex::Complex;
pub use recover::{last_words, recover};
pub use run::{Outcome, enter, interrupted};
pub use show::{ByDebug, Shown};
