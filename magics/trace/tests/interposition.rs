//! A function of this program stands in for one of the C library's: for a library that is loaded later, for one that was
//! bound before, and for who asks by name.

#![allow(unsafe_code, reason = "functions of C are replaced and called")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::{CString, c_int};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::linker::link_map::entries;
use diaphane_trace::interposition::{NotInterposed, StandIn, interpose, original};

static CALLS: AtomicUsize = AtomicUsize::new(0);
static REAL: AtomicUsize = AtomicUsize::new(0);

extern "C" fn counted() -> c_int {
    CALLS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: it is the C library's function, which has this type.
    let real: extern "C" fn() -> c_int =
        unsafe { std::mem::transmute(REAL.load(Ordering::Relaxed)) };
    real()
}

/// Calls a function of a library that is loaded now.
fn asked_by_a_new_library() -> c_int {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, file) = (folder.join("asks.c"), folder.join("libasks.so"));
    std::fs::write(
        &source,
        "#include <unistd.h>\nint ask(void) { return getpgrp(); }",
    )
    .unwrap();
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&file)
        .arg(&source)
        .status();
    assert!(done.unwrap().success());
    let path = CString::new(file.to_str().unwrap()).unwrap();
    // SAFETY: the library does nothing when it is loaded.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    // SAFETY: the handle is one, and the name ends with a zero.
    let ask = unsafe { libc::dlsym(handle, c"ask".as_ptr()) };
    // SAFETY: the library's function has this type.
    let ask: extern "C" fn() -> c_int = unsafe { std::mem::transmute(ask) };
    ask()
}

#[test]
fn everybody_finds_ours() {
    // SAFETY: it only asks.
    let group = unsafe { libc::getpgrp() };
    let real = original("getpgrp").unwrap();
    REAL.store(real, Ordering::Relaxed);
    let ours = counted as *const () as usize;
    let unknown = StandIn {
        name: "no_such_function",
        ours,
    };
    // SAFETY: nothing is replaced.
    let refused = unsafe { interpose(&[unknown]) }.err();
    assert_eq!(refused, Some(NotInterposed::Unknown));
    let stand_in = StandIn {
        name: "getpgrp",
        ours,
    };
    // SAFETY: it does what the C library's does.
    let interposed = unsafe { interpose(&[stand_in]) }.unwrap();

    assert_eq!(original("getpgrp"), Some(ours));
    // SAFETY: as above.
    assert_eq!(unsafe { libc::getpgrp() }, group);
    assert_eq!(
        CALLS.load(Ordering::Relaxed),
        1,
        "this program was bound before"
    );
    assert_eq!(asked_by_a_new_library(), group);
    assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    for entry in entries() {
        assert_ne!(
            entry.image.function("getpgrp"),
            Some(real),
            "{}",
            entry.name
        );
    }
    // Twice is once.
    // SAFETY: as above.
    let _twice = unsafe { interpose(&[stand_in]) }.unwrap();
    assert_eq!(asked_by_a_new_library(), group);
    assert_eq!(CALLS.load(Ordering::Relaxed), 3);

    interposed.undo().unwrap();
    assert_eq!(original("getpgrp"), Some(real));
    // SAFETY: as above.
    assert_eq!(unsafe { libc::getpgrp() }, group);
    assert_eq!(asked_by_a_new_library(), group);
    assert_eq!(
        CALLS.load(Ordering::Relaxed),
        3,
        "nobody calls ours any more"
    );
}
