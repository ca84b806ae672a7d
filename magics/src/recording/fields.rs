//! The facts that several recordings have.

use diaphane_report::{Field, Show};

pub(crate) const ELAPSED_NS: Field = Field::new("elapsed_ns", Show::Time, "how long the cell ran", "the clock");
