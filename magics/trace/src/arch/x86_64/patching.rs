//! Machine code that is changed while the process runs: whether it can be, and what the processor does about it.

use diaphane_forks::ForkOnce;
use std::ptr;

/// Whether hooks can be written: `instructions`, `jumps` and `pieces` know how.
pub const PATCHED: bool = true;

/// The number of `asm/prctl.h` by which the kernel is asked for the shadow stack.
const SHADOW_STACK_STATUS: i32 = 0x5005;

/// Whether the processor keeps return addresses of its own, which only calls write.
#[allow(unsafe_code, reason = "the C library has no function for it")]
pub fn has_shadow_stack() -> bool {
    static HAS: ForkOnce<bool> = ForkOnce::new();
    *HAS.get_or_init(|| {
        let mut features = 0u64;
        // SAFETY: the kernel writes one word, or refuses what it does not know.
        let asked =
            unsafe { libc::syscall(libc::SYS_arch_prctl, SHADOW_STACK_STATUS, &raw mut features) };
        asked == 0 && features & 1 == 1
    })
}

/// Has the processor bring code near, to be written: the memory answers many such wishes at once.
#[allow(unsafe_code, reason = "a hint to the processor")]
pub fn prefetch(address: usize) {
    use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
    let code = ptr::with_exposed_provenance::<i8>(address);
    // SAFETY: a hint reads nothing, wherever it points; processors that do not know it pass over it.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(code) };
}
