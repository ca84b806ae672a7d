//! The facts that several recordings have.

use diaphane_report::{Field, Show};

#[rustfmt::skip]
pub(crate) const CHILDREN: Field = Field::new("children", Show::Number, "processes below this one that used CPU time meanwhile: those that are still there, and those that were seen and have ended", "/proc/PID/stat");
#[rustfmt::skip]
pub(crate) const CHILDREN_CPU_NS: Field = Field::new("children_cpu_ns", Show::Time, "the CPU time that they used, which is in none of the rows", "/proc/PID/stat, getrusage");
pub(crate) const ELAPSED_NS: Field = Field::new("elapsed_ns", Show::Time, "how long the cell ran", "the clock");
#[rustfmt::skip]
pub(crate) const QUEUED_NS: Field = Field::new("queued_ns", Show::Time, "how long the thread of the cell could have run and had no CPU", "/proc/self/task/TID/schedstat");
