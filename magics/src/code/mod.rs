//! Code behind Python's callables: the functions that they lead to, their names, lines and variants.

pub(crate) mod callable;
#[rustfmt::skip]
pub(crate) mod fields;
pub(crate) mod symbolize;
pub(crate) mod target;
pub(crate) mod trail;
pub(crate) mod variants;
