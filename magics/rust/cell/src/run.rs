//! Runs a cell's statements: a panic and an error come back as a status and words, not as the end of the process.

use std::error::Error;
use std::ffi::c_void;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::Cell;
use crate::abi::{ABI, Ctx, DONE, FAILED, FOREIGN, PANICKED, Status, Text};
use crate::panics::{self, Listening};

/// What a cell's statements end with; `?` makes the error.
pub type Outcome = Result<(), Box<dyn Error>>;

/// Where the kernel says that the user has interrupted, as long as a cell of this library runs.
static INTERRUPTED: AtomicPtr<AtomicBool> = AtomicPtr::new(ptr::null_mut());

/// Whether the user has interrupted the cell. A loop that asks can end in order.
#[must_use]
pub fn interrupted() -> bool {
    let flag = INTERRUPTED.load(Ordering::Acquire);
    // SAFETY: the kernel's flag is a static of its program.
    !flag.is_null() && unsafe { (*flag).load(Ordering::Relaxed) }
}

/// Runs the statements of a cell.
///
/// # Safety
///
/// The pointer must be one to a filled structure, if its first field is [`ABI`].
pub unsafe fn enter(ctx: *const Ctx, body: &mut dyn FnMut(&Cell<'_>) -> Outcome) -> Status {
    // SAFETY: every agreement has this field first.
    if unsafe { (*ctx).abi } != ABI {
        return FOREIGN;
    }
    // SAFETY: the caller says so.
    let ctx = unsafe { &*ctx };
    INTERRUPTED.store(ctx.interrupted.cast_mut(), Ordering::Release);
    let listening = Listening::begin();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| body(&Cell { ctx })));
    // What `print!` wrote without a line's end.
    let _ = std::io::stdout().flush();
    let status = match outcome {
        Ok(Ok(())) => DONE,
        Ok(Err(error)) => {
            fail(ctx, &told(error.as_ref()), 0);
            FAILED
        }
        Err(payload) => {
            let (words, line) = panics::about(payload.as_ref());
            // A destructor of what was thrown may throw again.
            std::mem::forget(payload);
            fail(ctx, &words, line);
            PANICKED
        }
    };
    drop(listening);
    status
}

/// An error and what it came from.
fn told(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words += &format!(": {cause}");
        source = cause.source();
    }
    words
}

pub(crate) fn fail(ctx: &Ctx, words: &str, line: u32) {
    let words = Text {
        data: words.as_ptr(),
        len: words.len(),
    };
    let host: *mut c_void = ctx.host;
    // SAFETY: the kernel gives functions that take these.
    unsafe { ((*ctx.calls).fail)(host, words, line) }
}
