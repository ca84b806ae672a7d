//! Jupyter messages as values.
//!
//! Frames come in and go out as plain bytes; this crate knows their order, their signature and their fields.
//! It holds no socket, no Python and no unsafe code.

mod connection;
mod error;
mod header;
mod message;
pub mod monitor;
mod part;
pub mod publish;
pub mod reply;
pub mod request;
mod session;
mod sign;
pub mod spec;

pub use connection::{Channel, Connection};
pub use error::Error;
pub use header::read_header;
pub use message::{Frames, Header, Message, Outgoing};
pub use request::{CommQuestion, Request};
pub use session::{Session, new_id, now};

/// The version of the Jupyter messaging protocol that these messages follow.
pub const PROTOCOL_VERSION: &str = "5.5";
