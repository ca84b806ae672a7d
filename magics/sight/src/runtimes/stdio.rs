//! Writes out what the C library's standard output and standard error hold back, and waits for nobody.
//!
//! `fflush` of all streams would wait for each that another thread is using, as one that reads a pipe does until something
//! comes; and files of the user's own are written when their owner wants it.
#![allow(unsafe_code, reason = "C's streams are reached only through libc")]

use std::ffi::c_int;

use libc::FILE;

/// Who writes has a stream for a moment only: so often its lock is tried before the stream is left to its owner.
const TRIES: usize = 100;

unsafe extern "C" {
    static stdout: *mut FILE;
    static stderr: *mut FILE;
    fn ftrylockfile(stream: *mut FILE) -> c_int;
    fn funlockfile(stream: *mut FILE);
    fn fflush_unlocked(stream: *mut FILE) -> c_int;
}

/// Writes out both.
pub fn flush() {
    // SAFETY: libc sets its two streams before `main`.
    for stream in unsafe { [stdout, stderr] } {
        if lock(stream) {
            // SAFETY: the stream is open for as long as the process, and this thread has its lock.
            unsafe { fflush_unlocked(stream) };
            // SAFETY: this thread has the lock.
            unsafe { funlockfile(stream) };
        }
    }
}

fn lock(stream: *mut FILE) -> bool {
    (0..TRIES).any(|_| {
        // SAFETY: the stream is open for as long as the process.
        let free = unsafe { ftrylockfile(stream) } == 0;
        if !free {
            std::thread::yield_now();
        }
        free
    })
}
