//! What is known of each loaded library, and what it is called.

pub(crate) mod inventory;
pub(crate) mod names;
