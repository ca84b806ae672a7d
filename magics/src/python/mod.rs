//! What all of this crate asks Python for: objects, modules that are imported already, and IPython.

pub(crate) mod host;
pub(crate) mod ipython;
pub(crate) mod objects;
pub(crate) mod threads;
