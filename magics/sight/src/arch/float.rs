//! Whether the calling thread's floating-point unit takes numbers close to zero for zero.
//!
//! The setting belongs to a thread, and a new thread begins with that of the one which started it.

use serde::Serialize;

/// The two settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Subnormals {
    /// Results that are too small for full precision become zero (FTZ).
    pub flushed: bool,
    /// Operands that are too small for full precision count as zero (DAZ).
    pub ignored: bool,
}

/// Reads the settings of the calling thread; `None` on a processor whose register is not known here.
pub fn subnormals() -> Option<Subnormals> {
    let register = control()?;
    Some(Subnormals {
        flushed: register & FLUSH != 0,
        ignored: register & IGNORE != 0,
    })
}

/// Bit 15 of MXCSR.
#[cfg(target_arch = "x86_64")]
const FLUSH: u64 = 1 << 15;
/// Bit 6 of MXCSR.
#[cfg(target_arch = "x86_64")]
const IGNORE: u64 = 1 << 6;

/// Bit 24 of FPCR does both.
#[cfg(not(target_arch = "x86_64"))]
const FLUSH: u64 = 1 << 24;
#[cfg(not(target_arch = "x86_64"))]
const IGNORE: u64 = FLUSH;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "a register of the processor is read")]
fn control() -> Option<u64> {
    let mut register = 0u32;
    // SAFETY: the instruction writes four bytes to the address it gets, that of `register`.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack)) };
    Some(register.into())
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "a register of the processor is read")]
fn control() -> Option<u64> {
    let register: u64;
    // SAFETY: the instruction only reads the register, which every program may.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) register, options(nomem, nostack)) };
    Some(register)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn control() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_arithmetic_shows() {
        let small = std::hint::black_box(f64::MIN_POSITIVE);
        let half = std::hint::black_box(small / 2.0);
        let expected = Subnormals {
            flushed: half == 0.0,
            ignored: half == 0.0,
        };
        assert_eq!(subnormals(), Some(expected));
    }
}
