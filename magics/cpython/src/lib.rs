//! The one door to CPython's private structures.

pub mod events;
pub mod extensions;
pub mod frames;
pub mod here;
pub mod interpreter;
pub mod layout;
pub mod locals;
pub mod modules;
pub mod outside;
pub mod reader;
