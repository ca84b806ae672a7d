//! Faults of every kind, which must come back as values.

use std::hint::black_box;
use std::ops::Range;
use std::ptr;

use diaphane_cell::abi::Ctx;
use libc::{SIGABRT, SIGILL, SIGSEGV};

use super::{Crash, call};

const NOWHERE: Range<usize> = 0..0;

fn run(entry: unsafe extern "C" fn(*const Ctx) -> u32) -> Result<u32, Crash> {
    // SAFETY: these entries do not look at their context.
    unsafe { call(entry, ptr::null(), NOWHERE, None) }
}

unsafe extern "C" fn fine(_: *const Ctx) -> u32 {
    7
}

unsafe extern "C" fn faulty(_: *const Ctx) -> u32 {
    // SAFETY: it is not; that is the test.
    unsafe { ptr::without_provenance_mut::<u32>(0x1234).write_volatile(1) };
    0
}

unsafe extern "C" fn aborting(_: *const Ctx) -> u32 {
    // SAFETY: it may be called anywhere.
    unsafe { libc::abort() }
}

unsafe extern "C" fn deep(_: *const Ctx) -> u32 {
    fn down(depth: u64) -> u64 {
        let page = black_box([depth; 512]);
        if depth == u64::MAX {
            0
        } else {
            down(depth + 1) + black_box(page)[7]
        }
    }
    down(0) as u32
}

unsafe extern "C" fn illegal(_: *const Ctx) -> u32 {
    // SAFETY: it is caught; that is the test.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("ud2");
    }
    0
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_fault_comes_back_as_a_value() {
    for _ in 0..3 {
        assert_eq!(run(fine), Ok(7));
        let crash = run(faulty).unwrap_err();
        assert_eq!((crash.signal, crash.address), (SIGSEGV, 0x1234));
        assert_eq!(run(aborting).unwrap_err().signal, SIGABRT);
        assert_eq!(run(deep).unwrap_err().signal, SIGSEGV);
        assert_eq!(run(illegal).unwrap_err().signal, SIGILL);
    }
    assert_eq!(run(fine), Ok(7));
}
