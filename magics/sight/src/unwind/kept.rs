//! The unwinder of the last question, with what it has learned of code: who looks at stacks again and again meets the same
//! rows of the same tables. It is some hundred rows, and 6 MB at the most.

use diaphane_forks::ProcessLock;

use super::Unwinder;
use crate::linker::libraries::Library;

static LAST: ProcessLock<Option<Unwinder>> = ProcessLock::new(|| None);

/// The one that was kept, where the same code is loaded at the same places; or else a new one.
pub(super) fn take(libraries: &[Library]) -> Unwinder {
    let new = Unwinder::new(libraries);
    let last = LAST.lock().take();
    last.filter(|last| last.is_like(&new)).unwrap_or(new)
}

/// Keeps one for who asks next.
pub(super) fn keep(unwinder: Unwinder) {
    let before = LAST.lock().replace(unwinder);
    drop(before);
}
