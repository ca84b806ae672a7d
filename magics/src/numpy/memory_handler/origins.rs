//! Where the buffers that outlived their trace came from, for `%buffer_addr`.

use std::collections::HashMap;

use diaphane_forks::{ProcessLock, ProcessLockGuard};

/// The places by the address of the buffer.
static ORIGINS: ProcessLock<Option<HashMap<usize, String>>> = ProcessLock::new(|| None);

/// The line that allocated the buffer at an address, if a trace saw it.
pub(crate) fn allocator_of(address: usize) -> Option<String> {
    lock().as_ref()?.get(&address).cloned()
}

/// A buffer outlives its trace.
pub(crate) fn remember(address: usize, place: String) {
    lock().get_or_insert_default().insert(address, place);
}

/// A buffer is freed.
pub(crate) fn forget(address: usize) {
    if let Some(origins) = lock().as_mut() {
        origins.remove(&address);
    }
}

fn lock() -> ProcessLockGuard<'static, Option<HashMap<usize, String>>> {
    ORIGINS.lock()
}
