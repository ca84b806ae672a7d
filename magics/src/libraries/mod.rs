//! What is known of each loaded library, and what it is called.

#[rustfmt::skip]
pub(crate) mod fields;
pub(crate) mod inventory;
pub(crate) mod names;
