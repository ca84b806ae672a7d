//! Calls of functions in loaded libraries that take nothing and answer with a number or a text.
//!
//! The linker keeps the library loaded for the length of a call. Only functions that are known to read, and to load or
//! start nothing, may be called so; `pool_libraries` has the list.

use std::ffi::{c_char, c_int};

use crate::linker::libraries::Library;
use crate::linker::link_map::while_loaded;
use crate::proc::spans::c_string;
use diaphane_forks::ProcessLock;

/// Some of these functions write their answer to the same place at every call.
static ONE_AT_A_TIME: ProcessLock<()> = ProcessLock::new(|| ());

/// Asks a function `int name(void)`.
#[allow(
    unsafe_code,
    reason = "a function of a library is called by its address"
)]
pub(crate) fn number(library: &Library, name: &str) -> Option<c_int> {
    let address = code(library, name)?;
    let call = move || {
        // SAFETY: the address is that of a function which the library exports under a documented name with this
        // signature, and the library stays loaded during the call.
        let function: extern "C" fn() -> c_int = unsafe { std::mem::transmute(address) };
        function()
    };
    guarded(library, call)
}

/// Asks a function `const char *name(void)`; the text is copied at once.
#[allow(
    unsafe_code,
    reason = "a function of a library is called by its address"
)]
pub(crate) fn text(library: &Library, name: &str) -> Option<String> {
    let address = code(library, name)?;
    let call = move || {
        // SAFETY: as above, with another documented signature.
        let function: extern "C" fn() -> *const c_char = unsafe { std::mem::transmute(address) };
        c_string(function().addr())
    };
    guarded(library, call)?
}

/// Where a function of this name can be run.
fn code(library: &Library, name: &str) -> Option<usize> {
    let address = library.image.function(name)?;
    let is_code = |address| {
        let mut segments = library.segments.iter();
        segments.any(|part| part.perms.contains('x') && part.span.contains(address))
    };
    is_code(address).then_some(address)
}

fn guarded<T>(library: &Library, call: impl FnOnce() -> T) -> Option<T> {
    let _alone = ONE_AT_A_TIME.lock();
    while_loaded(library.image.bias(), call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;
    use crate::proc::maps::Maps;

    #[test]
    fn the_c_library_answers() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let libc = libraries
            .iter()
            .find(|library| library.name.starts_with("libc.so"))
            .unwrap();
        let own = std::process::id().cast_signed();
        assert_eq!(number(libc, "getpid"), Some(own));
        let version = text(libc, "gnu_get_libc_version").unwrap();
        assert!(version.starts_with("2."), "{version}");
        assert_eq!(number(libc, "no_such_function"), None);
        assert_eq!(number(libc, "environ"), None, "data is not called");
    }
}
