//! Memory behind Python's objects: buffers and how users name them, who holds whom, where it was allocated, who keeps it,
//! and what Arrow's pools hold.

pub(crate) mod allocated;
pub(crate) mod arrow_pools;
pub(crate) mod buffers;
pub(crate) mod keepers;
pub(crate) mod object_graph;
pub(crate) mod paths;
