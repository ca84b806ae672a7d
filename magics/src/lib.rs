//! diaphane-magics.
