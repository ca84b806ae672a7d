//! What all of this crate asks Python for: objects, modules that are imported already, and IPython.

pub(crate) mod ipython;
pub(crate) mod objects;
