//! By which door we came into this process, and so what is missing in it.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_PACKAGE: AtomicBool = AtomicBool::new(false);
static IS_GUEST: AtomicBool = AtomicBool::new(false);
static IS_LISTENING: AtomicBool = AtomicBool::new(false);

/// We are a package of this process's Python, and not the program that runs it.
pub fn came_as_package() {
    IS_PACKAGE.store(true, Ordering::Relaxed);
}

/// Whether a package of Python's brought us.
pub(crate) fn is_package() -> bool {
    IS_PACKAGE.load(Ordering::Relaxed)
}

/// We are a guest of somebody else's kernel, or are no more.
pub(crate) fn set_guest(is_guest: bool) {
    IS_GUEST.store(is_guest, Ordering::Relaxed);
}

/// Whether the kernel here is somebody else's.
pub(crate) fn is_guest() -> bool {
    IS_GUEST.load(Ordering::Relaxed)
}

/// A guest answers questions from outside, or does no more.
pub fn set_listening(is_listening: bool) {
    IS_LISTENING.store(is_listening, Ordering::Relaxed);
}

/// Why nobody can ask while a cell runs; nothing where that can be done.
pub(crate) fn why_not_asked() -> Option<String> {
    let is_deaf = is_guest() && !IS_LISTENING.load(Ordering::Relaxed);
    is_deaf.then(|| {
        format!(
            "while a cell runs nothing can be asked, since a guest has no channel of its own: after \
             %diaphane listen, `diaphane ask -k {} stack` in a terminal is answered",
            std::process::id()
        )
    })
}
