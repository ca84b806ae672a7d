//! What happened cell by cell: which cell runs, what it imported and changed, and how the cell below a magic is run.

pub(crate) mod array_deltas;
pub(crate) mod audit_events;
pub(crate) mod cell_body;
pub(crate) mod cell_files;
mod crash_notes;
pub(crate) mod deltas;
pub(crate) mod door;
pub(crate) mod executed_code;
pub(crate) mod float_modes;
pub(crate) mod import_audit;
pub(crate) mod journal;
pub(crate) mod lane;
