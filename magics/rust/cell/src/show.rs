//! Displays the value of a cell's last expression.
//!
//! A type that displays itself as evcxr's types do has a method `evcxr_display`, which the compiler prefers; all others
//! get the one of [`Shown`], which shows them by `Debug`. So one build is enough.

use std::cell::Cell as Slot;
use std::fmt::{Debug, Write};
use std::ptr;

use crate::Cell;
use crate::abi::{Ctx, Text};

thread_local! {
    /// The run whose value is displayed.
    static CTX: Slot<*const Ctx> = const { Slot::new(ptr::null()) };
}

/// Displays by `Debug`.
pub trait Shown {
    /// Displays the value.
    fn evcxr_display(&self);
}

impl<T: Debug + ?Sized> Shown for T {
    fn evcxr_display(&self) {
        // The value of a loop or an assignment.
        if std::any::type_name::<T>() != "()" {
            debug(&self);
        }
    }
}

/// Not generic, so that it is compiled once.
fn debug(value: &dyn Debug) {
    let mut text = String::new();
    // Only a `Debug` of the user's own can fail, and what it wrote is shown.
    let _ = write!(text, "{value:#?}");
    // Short values stand on one line, as Python's do.
    let mut line = String::new();
    let _ = write!(line, "{value:?}");
    let text = if line.chars().count() <= 88 {
        line
    } else {
        text
    };
    send("text/plain", &text);
}

fn send(kind: &str, text: &str) {
    let ctx = CTX.get();
    if ctx.is_null() {
        return;
    }
    // SAFETY: it is set only while the run lasts, on its thread.
    let ctx = unsafe { &*ctx };
    // SAFETY: the kernel gives a function that takes these.
    unsafe { ((*ctx.calls).show)(ctx.host, words(kind), words(text)) }
}

fn words(text: &str) -> Text {
    Text {
        data: text.as_ptr(),
        len: text.len(),
    }
}

impl Cell<'_> {
    /// Runs the display of a value; what it shows is this run's.
    pub fn show(&self, display: impl FnOnce()) {
        CTX.set(self.ctx);
        display();
        CTX.set(ptr::null());
    }
}
