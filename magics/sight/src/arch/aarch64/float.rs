//! FPCR, the control register of the floating-point unit.

/// Bit 24 does both.
pub const FLUSH: u64 = 1 << 24;
/// The same bit.
pub const IGNORE: u64 = FLUSH;

/// Reads the register of the calling thread.
#[allow(unsafe_code, reason = "a register of the processor is read")]
pub fn register() -> u64 {
    let register: u64;
    // SAFETY: the instruction only reads the register, which every program may.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) register, options(nomem, nostack)) };
    register
}
