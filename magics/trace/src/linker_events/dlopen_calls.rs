//! Who asks the linker for a library, and who gives one up: calls of `dlopen`, `dlmopen` and `dlclose` lead through a
//! piece of code that notes them, the path and the caller, and goes on to the function.
//!
//! The caller's return address stays where it is, since the linker looks there for whose search path to use.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use diaphane_forks::ProcessLock;
use diaphane_sight::linker::libraries::Library;

use crate::arch::pieces;
use crate::got_hooks::{Hooks, PreparedGotHooks, Site, got};
use crate::linker_events::event_buffer;
use crate::linker_events::event_buffer::Kind;
use crate::trampolines::publish;

/// What a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// It opens the path that is its first argument.
    Open,
    /// It opens the path that is its second argument.
    OpenInNamespace,
    /// It closes what was opened.
    Close,
}

const FUNCTIONS: [(&str, Request); 3] = [
    ("dlopen", Request::Open),
    ("dlmopen", Request::OpenInNamespace),
    ("dlclose", Request::Close),
];
/// Stands for the path of a call that asks for the program itself.
const ITSELF: usize = 1 << 40;

/// Hooks the calls of all libraries; how many there are, too.
pub(super) fn hook(libraries: &[Library]) -> Option<(Hooks, usize)> {
    let mut sites: Vec<(Site, Request)> = Vec::new();
    for library in libraries {
        let named = got::calls_of(library, &FUNCTIONS.map(|(function, _)| function));
        sites.extend(named.into_iter().filter_map(|(site, name)| {
            let known = FUNCTIONS.iter().find(|(function, _)| *function == name)?;
            Some((site, known.1))
        }));
    }
    let mut pieces: Vec<((usize, Request), usize)> = Vec::new();
    for key in sites.iter().map(|(site, request)| (site.target, *request)) {
        if pieces.iter().all(|(known, _)| *known != key) {
            pieces.push((key, piece(key.0, key.1)?));
        }
    }
    let with_piece = sites.iter().filter_map(|(site, request)| {
        let own = pieces
            .iter()
            .find(|(key, _)| *key == (site.target, *request))?;
        Some((*site, own.1))
    });
    let prepared = PreparedGotHooks::leading(with_piece).ok()?;
    let opening = sites
        .iter()
        .filter(|(_, request)| *request != Request::Close);
    let count = opening.count();
    Some((Hooks::place(Arc::new(prepared)), count))
}

/// The code for one function, made once for each.
fn piece(target: usize, request: Request) -> Option<usize> {
    static MADE: ProcessLock<Vec<((usize, Request), usize)>> = ProcessLock::new(Vec::new);
    let mut made = MADE.lock();
    if let Some((_, known)) = made.iter().find(|(key, _)| *key == (target, request)) {
        return Some(*known);
    }
    let new = publish(&code(target, request)?)?;
    made.push(((target, request), new));
    Some(new)
}

/// Gives path, flags and return address to `asked`, or calls `closing`, and goes on.
fn code(target: usize, request: Request) -> Option<Vec<u8>> {
    let noted = match request {
        Request::Open | Request::OpenInNamespace => (asked as *const ()).addr(),
        Request::Close => (closing as *const ()).addr(),
    };
    pieces::noting(noted, target, request == Request::OpenInNamespace)
}

#[allow(unsafe_code, reason = "called in place of dlopen, with its arguments")]
unsafe extern "C" fn asked(path: *const c_char, flags: i32, back: usize) {
    if !super::is_active() {
        return;
    }
    if path.is_null() {
        event_buffer::write(Kind::Asked, [flags as u32 as usize | ITSELF, back], b"");
        return;
    }
    // SAFETY: who calls `dlopen` gives a text that ends with NUL, or no text at all.
    let path = unsafe { CStr::from_ptr(path) };
    event_buffer::write(Kind::Asked, [flags as u32 as usize, back], path.to_bytes());
}

extern "C" fn closing() {
    if super::is_active() {
        event_buffer::write(Kind::Closing, [0, 0], b"");
    }
}

/// Whether a call's flags say that it had no path.
pub(super) fn is_for_itself(flags: usize) -> bool {
    flags & ITSELF != 0
}
