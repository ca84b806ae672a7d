//! After a fault: the thread was taken out of the cell, and the standard library still counts the panic that it was in.
//! It would end the process at the next one, and lets nobody change the hook of panics.
//!
//! Only catching a panic makes its count smaller, and throwing one makes it larger, but for one that is thrown in the
//! hook of another one. So this is done, until the thread panics no longer; the standard library itself says when.

use std::panic::{self, PanicHookInfo, UnwindSafe};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::abi::{Ctx, DONE, LOCKED, Status};
use crate::panics;
use crate::run::fail;
use crate::show;

/// So many panics in one another are forgotten; the language allows fewer.
const MOST: usize = 16;
/// So long it is waited for the lock of the hook. Whoever has it prints a backtrace at the most.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Says what the panic is that the thread is in.
///
/// # Safety
///
/// As for [`enter`](crate::enter).
pub unsafe fn last_words(ctx: *const Ctx) -> Status {
    if let Some(panic) = panics::current() {
        // SAFETY: the caller says so.
        fail(unsafe { &*ctx }, &panic.words, panic.line);
    }
    DONE
}

/// Makes the thread as it was before the run that a fault has ended; says what the panic was that it was in.
///
/// # Safety
///
/// As for [`enter`](crate::enter).
pub unsafe fn recover(ctx: *const Ctx) -> Status {
    // SAFETY: the caller says so.
    unsafe { last_words(ctx) };
    panics::forget_run();
    show::forget();
    if !thread::panicking() || settle() {
        DONE
    } else {
        LOCKED
    }
}

/// Whether the thread panics no longer, and the hook can be changed.
fn settle() -> bool {
    // If the fault was in the hook, this counts as thrown there.
    throw_and_catch();
    let panicking = thread::current().id();
    let Some(before) = elsewhere(|| Arc::new(panic::take_hook())) else {
        return false;
    };
    let inner = Arc::clone(&before);
    let hook = move |info: &PanicHookInfo<'_>| {
        if thread::current().id() == panicking {
            throw_and_catch();
        } else {
            inner(info);
        }
    };
    let is_set = elsewhere(|| panic::set_hook(Box::new(hook))).is_some();
    for _ in 0..MOST {
        if !is_set || !thread::panicking() {
            break;
        }
        catch(|| panic!("a fault is forgotten"));
    }
    let back = elsewhere(|| {
        drop(panic::take_hook());
        if let Some(before) = Arc::into_inner(before) {
            panic::set_hook(before);
        }
    });
    is_set && back.is_some() && !thread::panicking()
}

fn throw_and_catch() {
    catch(|| panic::resume_unwind(Box::new(())));
}

fn catch(run: impl FnOnce() + UnwindSafe) {
    // What is caught is what was thrown.
    let _ = panic::catch_unwind(run);
}

/// Runs something on a thread that does not panic; nothing if it does not come to its end.
fn elsewhere<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (say, said) = mpsc::channel();
    let thread = thread::Builder::new().spawn(move || {
        // Who waits no longer does not want to know.
        let _ = say.send(run());
    });
    thread.ok()?;
    said.recv_timeout(TIMEOUT).ok()
}
