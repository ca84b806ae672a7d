//! The one door to NumPy's private structures: arrays, ufunc loops, the functions of a dtype, the memory handler.

pub(crate) mod arrays;
pub(crate) mod dtype_functions;
pub(crate) mod memory_handler;
pub(crate) mod step;
pub(crate) mod ufunc;
