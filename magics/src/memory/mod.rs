//! Memory behind Python's objects: buffers, who holds whom, where it was allocated, who keeps it.

pub(crate) mod allocated;
pub(crate) mod buffers;
pub(crate) mod keepers;
pub(crate) mod object_graph;
