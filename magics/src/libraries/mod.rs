//! What is known of each loaded library.

pub(crate) mod inventory;
