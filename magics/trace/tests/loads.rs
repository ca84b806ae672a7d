//! Loads of small libraries in this very process: they are seen in order, timed, and nothing stays changed.

#![allow(unsafe_code, reason = "libraries are loaded and memory is compared")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_arch = "x86_64")]

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;

use diaphane_sight::linker::libraries::{Library, loaded};
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans;
use diaphane_trace::linker_events::{
    LinkerEvent, LinkerEventsRecording, LinkerEventsRefused, What, begin,
};

/// There is one event buffer, and there are other threads that load.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

fn libraries() -> Vec<Library> {
    loaded(&Maps::read().unwrap()).unwrap()
}

/// A library of C, in a folder of its own for each test.
fn compile(test: &str, name: &str, code: &str, more: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.c")), code).unwrap();
    let file = folder.join(format!("lib{name}.so"));
    let done = Command::new("cc")
        .current_dir(&folder)
        .args(["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN", "-o"])
        .arg(&file)
        .arg(format!("{name}.c"))
        .args(more)
        .status();
    assert!(done.unwrap().success());
    file
}

fn open(path: &Path) -> *mut c_void {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the libraries of these tests do nothing but sleep and count.
    unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) }
}

fn close(handle: *mut c_void) {
    // SAFETY: a handle of `open`.
    assert_eq!(unsafe { libc::dlclose(handle) }, 0);
}

fn record(run: impl FnOnce()) -> LinkerEventsRecording {
    let running = begin(&libraries()).unwrap();
    run();
    running.end()
}

/// The events without the times: names instead of addresses.
fn told(recording: &LinkerEventsRecording) -> Vec<String> {
    let mut names: HashMap<usize, String> = HashMap::new();
    let mut line = |event: &LinkerEvent| match &event.what {
        What::Mapped {
            map, name, timed, ..
        } => {
            let short = name.rsplit('/').next().unwrap().to_owned();
            names.insert(*map, short.clone());
            format!("mapped {short}{}", if *timed { "" } else { " untimed" })
        }
        What::Unmapped { map } => format!("unmapped {}", names[map]),
        What::Initialising { map } => format!("begins {}", names[map]),
        What::Initialised { map } => format!("ends {}", names[map]),
        What::Asked { path, .. } => {
            let path = path.as_deref().unwrap_or("itself");
            format!("asked {}", path.rsplit('/').next().unwrap())
        }
        other => format!("{other:?}").to_lowercase(),
    };
    recording.events.iter().map(&mut line).collect()
}

fn span_between(recording: &LinkerEventsRecording, first: &str, last: &str) -> u64 {
    let told = told(recording);
    let at = |line: &str| recording.events[told.iter().position(|one| one == line).unwrap()].at;
    at(last) - at(first)
}

const SLOW: &str = "#include <time.h>
__attribute__((constructor)) static void wait(void) {
  struct timespec pause = {0, 20000000};
  nanosleep(&pause, 0);
}
int slow(void) { return 1; }
";
const USER: &str = "int slow(void); int user(void) { return slow(); }";

/// The code that the linker runs for debuggers, and the rights of its pages.
fn linker_code() -> (Vec<u8>, String) {
    // SAFETY: a name that ends with NUL.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_debug_state".as_ptr()) };
    let address = if found.is_null() { brk() } else { found.addr() };
    let perms = Maps::read().unwrap().find(address).unwrap().perms.clone();
    (spans::bytes(address, 32), perms)
}

fn brk() -> usize {
    // SAFETY: as above.
    let root = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_r_debug".as_ptr()) };
    spans::word(root.addr() + 16).unwrap()
}

/// The dynamic section of a library that is loaded.
fn dynamic(name: &str) -> Vec<u8> {
    let all = libraries();
    let library = all.iter().find(|one| one.name == name).unwrap();
    let parts = library.image.parts();
    let part = parts
        .iter()
        .find(|part| part.kind.0 == libc::PT_DYNAMIC)
        .unwrap();
    spans::bytes(part.span.start, part.span.len())
}

#[test]
fn loads_are_told_in_order_with_their_initialisers() {
    let _alone = alone();
    compile("order", "slow", SLOW, &[]);
    let user = compile("order", "user", USER, &["-L.", "-lslow"]);
    let before = linker_code();
    let recording = record(|| {
        assert!(open(&user.with_file_name("libmissing.so")).is_null());
        close(open(&user));
    });
    let mut told = told(&recording);
    told.retain(|line| !line.starts_with("asked"));
    // Newer linkers complete the list also after a call that has found nothing.
    if told[0] == "settled" {
        told.remove(0);
    }
    let expected = [
        "adding",
        "settled",
        "mapped libuser.so",
        "mapped libslow.so",
        "begins libslow.so",
        "ends libslow.so",
        "begins libslow.so",
        "ends libslow.so",
        "begins libuser.so",
        "ends libuser.so",
        "begins libuser.so",
        "ends libuser.so",
        "removing",
        "settled",
        "unmapped libuser.so",
        "unmapped libslow.so",
    ];
    assert_eq!(told, expected);
    let slow = span_between(&recording, "settled", "removing");
    assert!(slow >= 20_000_000 && slow <= recording.lasted, "{slow}");
    assert_eq!(recording.lost, 0);
    assert_eq!(linker_code(), before);
}

#[test]
fn nothing_stays_changed_in_what_was_loaded() {
    let _alone = alone();
    compile("words", "slow", SLOW, &[]);
    let user = compile(
        "words",
        "user",
        USER,
        &["-L.", "-lslow", "-Wl,-z,relro,-z,now"],
    );
    let handle = open(&user);
    let files: Vec<Vec<u8>> = ["libuser.so", "libslow.so"].map(dynamic).into();
    close(handle);
    let mut handle = std::ptr::null_mut();
    let recording = record(|| handle = open(&user));
    assert!(told(&recording).contains(&"ends libslow.so".into()));
    // What the linker writes are addresses, which differ by where the library lies.
    let words = |bytes: &[u8]| -> Vec<(u64, u64)> {
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
        let entries = bytes
            .chunks_exact(16)
            .map(|entry| (word(&entry[..8]), word(&entry[8..])));
        entries
            .filter(|(tag, _)| [12, 25, 27].contains(tag))
            .collect()
    };
    for (name, file) in ["libuser.so", "libslow.so"].iter().zip(&files) {
        assert_eq!(words(&dynamic(name)), words(file), "{name}");
        assert_eq!(words(file).len(), 3);
    }
    let mut pages = Maps::read().unwrap();
    pages
        .regions
        .retain(|region| region.path().is_some_and(|path| path.contains("/words/")));
    assert!(
        pages
            .regions
            .iter()
            .all(|region| !region.perms.contains("wx"))
    );
    close(handle);
}

#[test]
fn a_library_whose_dependency_is_missing_comes_and_goes() {
    let _alone = alone();
    let slow = compile("missing", "slow", SLOW, &[]);
    let user = compile("missing", "user", USER, &["-L.", "-lslow"]);
    std::fs::remove_file(slow).unwrap();
    let before = linker_code();
    let recording = record(|| assert!(open(&user).is_null()));
    let mut told = told(&recording);
    told.retain(|line| !line.starts_with("asked"));
    // From glibc 2.41 on the list is complete before something is found missing.
    let expected: &[&str] = match told.get(1).map(String::as_str) {
        Some("settled") => &[
            "adding",
            "settled",
            "mapped libuser.so",
            "removing",
            "settled",
            "unmapped libuser.so",
        ],
        _ => &[
            "adding",
            "removing",
            "mapped libuser.so untimed",
            "settled",
            "unmapped libuser.so",
        ],
    };
    assert_eq!(told, expected);
    assert_eq!(linker_code(), before);
}

#[test]
fn native_callers_are_told_apart() {
    let _alone = alone();
    let code = "#define _GNU_SOURCE
#include <dlfcn.h>
void *opens(const char *path, int apart) {
  return apart ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW) : dlopen(path, RTLD_NOW);
}";
    let opener = compile("callers", "opener", code, &[]);
    let other = compile("callers", "other", "int other = 1;", &[]);
    let handle = open(&opener);
    // SAFETY: a name that ends with NUL, in a library that is loaded.
    let opens = unsafe { libc::dlsym(handle, c"opens".as_ptr()) };
    // SAFETY: the function has this form.
    let opens: unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void =
        unsafe { std::mem::transmute(opens) };
    let path = CString::new(other.to_str().unwrap()).unwrap();
    let span = libraries()
        .iter()
        .find(|one| one.name == "libopener.so")
        .unwrap()
        .span;
    for apart in [0, 1] {
        let mut other = std::ptr::null_mut();
        let recording = record(|| {
            // SAFETY: it loads a library that holds nothing but a number.
            other = unsafe { opens(path.as_ptr(), apart) };
        });
        let asked = recording.events.iter().find_map(|event| match &event.what {
            What::Asked { path, back, .. } => Some((path.clone().unwrap(), *back)),
            _ => None,
        });
        let (asked, back) = asked.unwrap();
        assert_eq!(asked.as_bytes(), path.as_bytes());
        assert!(span.contains(back), "the caller is in libopener");
        assert!(
            told(&recording).contains(&"mapped libother.so".into()),
            "{:?}",
            told(&recording)
        );
        close(other);
    }
    close(handle);
}

#[test]
fn one_recording_at_a_time_and_a_debugger_comes_first() {
    let _alone = alone();
    let running = begin(&libraries()).unwrap();
    assert_eq!(begin(&libraries()).unwrap_err(), LinkerEventsRefused::Busy);
    drop(running);
    drop(begin(&libraries()).unwrap());
}

#[test]
fn a_forked_child_is_as_before() {
    let _alone = alone();
    let before = linker_code();
    let running = begin(&libraries()).unwrap();
    // SAFETY: the child only compares memory and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_same = linker_code() == before;
        // SAFETY: it ends the child without any destructor.
        unsafe { libc::_exit(i32::from(!is_same)) };
    }
    let mut status = -1;
    // SAFETY: it writes into `status`.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
    assert_ne!(linker_code(), before);
    drop(running);
    assert_eq!(linker_code(), before);
}

#[test]
fn it_can_be_placed_often_while_others_load() {
    let _alone = alone();
    let other = compile("often", "other", "int other = 1;", &[]);
    let before = linker_code();
    let all = libraries();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loader = || {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                close(open(&other));
            }
        };
        scope.spawn(loader);
        scope.spawn(loader);
        let mut seen = 0;
        while seen < 60 {
            seen += begin(&all).unwrap().end().events.len();
            for _ in 0..3 {
                drop(begin(&all).unwrap());
            }
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(linker_code(), before);
}
