//! Displays the value of a cell's last expression.
//!
//! A type that displays itself as evcxr's types do has a method `evcxr_display`, which the compiler prefers; all others
//! get the one of [`Shown`], which shows them by `Debug`. So one build is enough, and the type that the method gives tells
//! which of the two it is: one of evcxr's writes to standard output, where the kernel then listens.

use std::any::type_name;
use std::cell::Cell as Slot;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::ptr;

use crate::Cell;
use crate::abi::{Ctx, Text};

thread_local! {
    /// The run whose value is displayed.
    static CTX: Slot<*const Ctx> = const { Slot::new(ptr::null()) };
}

/// What the method of [`Shown`] gives, and no other.
#[derive(Debug, Clone, Copy)]
pub struct ByDebug;

/// Displays by `Debug`.
pub trait Shown {
    /// Displays the value.
    fn evcxr_display(&self) -> ByDebug;
}

impl<T: Debug + ?Sized> Shown for T {
    fn evcxr_display(&self) -> ByDebug {
        // The value of a loop or an assignment.
        if type_name::<T>() != "()" {
            debug(&self);
        }
        ByDebug
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

/// A fault has ended the run that displayed something.
pub(crate) fn forget() {
    CTX.set(ptr::null());
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

/// A display, as long as it lasts; a panic may end it.
struct Display<'a> {
    ctx: &'a Ctx,
    is_heard: bool,
}

impl<'a> Display<'a> {
    fn begin(ctx: &'a Ctx, is_heard: bool) -> Self {
        CTX.set(ctx);
        let display = Self { ctx, is_heard };
        display.tell(true);
        display
    }

    /// Tells the kernel, when all is written that was said before.
    fn tell(&self, begins: bool) {
        if self.is_heard {
            let _ = std::io::stdout().flush();
            // SAFETY: the kernel gives a function that takes these.
            unsafe { ((*self.ctx.calls).display)(self.ctx.host, begins) }
        }
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        self.tell(false);
        CTX.set(ptr::null());
    }
}

impl Cell<'_> {
    /// Runs the display of a value; what it shows is this run's.
    pub fn show<R>(&self, display: impl FnOnce() -> R) {
        let _display = Display::begin(self.ctx, type_name::<R>() != type_name::<ByDebug>());
        display();
    }
}
