//! The time stamp counter.

/// Reads the counter.
#[must_use]
#[allow(unsafe_code, reason = "an instruction without a safe function")]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has it, and Linux lets programs use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}
