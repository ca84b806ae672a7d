//! What a child process inherits of locks: a fork copies them as they are, and copies one thread only.
//!
//! A lock that another thread holds at that moment would stay locked in the child for ever, with half-written content.
//! So every process-wide lock is one of two kinds. A [`ProcessLock`] is made anew in the child if another thread held it.
//! What cannot be made anew (the dynamic linker's own lock, code that is being changed) is held across the fork by
//! [`Handlers`], in a fixed order. What is made once ([`ForkOnce`]) is waited for by nobody. All hang on one `pthread_atfork`. Nothing here knows what the locks protect.

mod handlers;
mod lock;
mod once;
mod raw;

pub use handlers::{Handlers, Order, is_child, register, watch};
pub use lock::{ProcessLock, ProcessLockGuard};
pub use once::ForkOnce;
pub use raw::RawForkMutex;
