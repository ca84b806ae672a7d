//! diaphane-wire.
