//! MXCSR, the control register of the floating-point unit.

/// Bit 15.
pub const FLUSH: u64 = 1 << 15;
/// Bit 6.
pub const IGNORE: u64 = 1 << 6;

/// Reads the register of the calling thread.
#[allow(unsafe_code, reason = "a register of the processor is read")]
pub fn register() -> u64 {
    let mut register = 0u32;
    // SAFETY: the instruction writes four bytes to the address it gets, that of `register`.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack)) };
    register.into()
}
