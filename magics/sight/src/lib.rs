//! diaphane-sight.
