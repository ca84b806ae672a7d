//! The counter of the virtual timer.

/// Reads the counter.
#[must_use]
#[allow(unsafe_code, reason = "an instruction without a safe function")]
pub fn ticks() -> u64 {
    let count: u64;
    // SAFETY: it reads a register that programs may read.
    unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
    count
}
