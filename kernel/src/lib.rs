//! diaphane.
