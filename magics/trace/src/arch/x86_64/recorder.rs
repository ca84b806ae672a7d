//! The code that runs at every hook, in assembly: it changes no register and no flag.
//!
//! A compiler may know that a function of its own leaves a register alone, and keep a value there over the call. So the
//! way that is taken for every event uses three registers, which it saves, and only instructions that leave the flags
//! as they are (`lea`, `jrcxz`). Where Rust is called, everything is saved, vector registers too.

#![allow(
    unsafe_code,
    reason = "assembly is outside of what the compiler checks"
)]

use std::arch::{asm, global_asm};
use std::mem::offset_of;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::recorder::writer::{ACTIVE, Writer};
use crate::recorder::{slow, words};

/// The vector and floating-point registers but for the tiles of matrix extensions, which nothing here uses.
const SAVED_STATE: u32 = 0xff;
/// What the processor needs to save them: the layout without compaction, up to the upper halves of AVX-512.
const STATE_SIZE: usize = 2752;

// On entry: `eax` is the function's id. `[rsp]` leads back to the trampoline, `[rsp+8]` is `rax`, `[rsp+16]` the function's
// return address.
global_asm!(
    ".section .tbss.diaphane_recorder,\"awT\",@nobits",
    ".p2align 3",
    ".globl diaphane_recorder_writer",
    ".hidden diaphane_recorder_writer",
    ".type diaphane_recorder_writer,@object",
    ".size diaphane_recorder_writer,16",
    "diaphane_recorder_writer:",
    ".zero 16",
    ".text",
    ".p2align 5",
    ".globl diaphane_recorder_common",
    ".hidden diaphane_recorder_common",
    ".type diaphane_recorder_common,@function",
    // What is rare stands first, where short jumps reach it.
    // A thread's first event: Rust gives it a writer.
    "7:",
    "mov rcx, qword ptr [rip + diaphane_recorder_writer@gottpoff]",
    "mov rcx, qword ptr fs:[rcx + 8]",
    "jrcxz 9f",
    // It is being done already, and this is a signal handler in between.
    "jmp 8f",
    "9:",
    "lea rcx, [rip + {slow}]",
    "call diaphane_recorder_outside",
    "8:",
    "pop r8",
    "pop rdx",
    "pop rcx",
    "ret",
    "diaphane_recorder_common:",
    "push rcx",
    "push rdx",
    "push r8",
    // Is anything recorded at all?
    "mov rdx, qword ptr [rip + {active}]",
    "mov rcx, rdx",
    "jrcxz 8b",
    // Does this thread take part in this recording already?
    "mov rcx, qword ptr [rip + diaphane_recorder_writer@gottpoff]",
    "mov r8, qword ptr fs:[rcx]",
    "mov rcx, r8",
    "jrcxz 7b",
    "mov rcx, qword ptr [r8 + {negated_generation}]",
    "lea rcx, [rcx + rdx]",
    "jrcxz 2f",
    "jmp 7b",
    "2:",
    // Where the interpreter is, if this thread is one that tells.
    "mov rcx, qword ptr [r8 + {place}]",
    "jrcxz 4f",
    "mov rcx, qword ptr [rcx]",
    "mov rdx, qword ptr [r8 + {through}]",
    "mov rcx, qword ptr [rcx + rdx]",
    "jrcxz 4f",
    "mov rdx, qword ptr [r8 + {instruction}]",
    "push rcx",
    "mov rdx, qword ptr [rcx + rdx]",
    "mov rcx, qword ptr [r8 + {not_last}]",
    "lea rcx, [rcx + rdx + 1]",
    "jrcxz 3f",
    // It has changed: an event of its own.
    "mov rcx, rdx",
    "not rcx",
    "mov qword ptr [r8 + {not_last}], rcx",
    "push rdx",
    "mov rdx, qword ptr [r8 + {next}]",
    "mov rcx, qword ptr [r8 + {negated_end}]",
    "lea rcx, [rcx + rdx]",
    "jrcxz 5f",
    "lea rcx, [rdx + 32]",
    "mov qword ptr [r8 + {next}], rcx",
    "pop qword ptr [rdx + 16]",
    "pop qword ptr [rdx + 24]",
    "mov dword ptr [rdx + 8], 0xffffff00",
    "mov dword ptr [rdx + 12], 0",
    "mov qword ptr [rdx], 0",
    "jmp 4f",
    "5:",
    "pop rdx",
    "3:",
    "pop rcx",
    "4:",
    "mov rdx, qword ptr [r8 + {next}]",
    "mov rcx, qword ptr [r8 + {negated_end}]",
    "lea rcx, [rcx + rdx]",
    "jrcxz 6f",
    "lea rcx, [rdx + 32]",
    "mov qword ptr [r8 + {next}], rcx",
    "mov r8, rdx",
    "mov dword ptr [r8 + 8], eax",
    "mov dword ptr [r8 + 12], 0",
    "lea rcx, [rsp + 40]",
    "mov qword ptr [r8 + 16], rcx",
    "mov rcx, qword ptr [rcx]",
    "mov qword ptr [r8 + 24], rcx",
    "rdtsc",
    "mov dword ptr [r8], eax",
    "mov dword ptr [r8 + 4], edx",
    "pop r8",
    "pop rdx",
    "pop rcx",
    "ret",
    // The room is used up: Rust makes more, if there may be more.
    "6:",
    "mov rcx, qword ptr [r8 + {may_grow}]",
    "jrcxz 60f",
    "jmp 7b",
    // Only counted.
    "60:",
    "mov rcx, qword ptr [r8 + {lost}]",
    "lea rcx, [rcx + 1]",
    "mov qword ptr [r8 + {lost}], rcx",
    "pop r8",
    "pop rdx",
    "pop rcx",
    "ret",
    ".size diaphane_recorder_common, . - diaphane_recorder_common",

    // The same for functions whose arguments are kept; Rust writes those.
    ".globl diaphane_recorder_words",
    ".hidden diaphane_recorder_words",
    ".type diaphane_recorder_words,@function",
    "diaphane_recorder_words:",
    "push rcx",
    "push rdx",
    "push r8",
    "mov rcx, qword ptr [rip + {active}]",
    "jrcxz 1f",
    "mov rcx, qword ptr [rip + diaphane_recorder_writer@gottpoff]",
    "mov rcx, qword ptr fs:[rcx + 8]",
    "jrcxz 2f",
    "1:",
    "pop r8",
    "pop rdx",
    "pop rcx",
    "ret",
    "2:",
    "lea rcx, [rip + {words}]",
    "call diaphane_recorder_outside",
    "jmp 1b",
    ".size diaphane_recorder_words, . - diaphane_recorder_words",

    // For trampolines that are written before it is known what is wanted: one of the two above.
    ".globl diaphane_recorder_chosen",
    ".hidden diaphane_recorder_chosen",
    ".type diaphane_recorder_chosen,@function",
    "diaphane_recorder_chosen:",
    "jmp qword ptr [rip + {chosen}]",
    ".size diaphane_recorder_chosen, . - diaphane_recorder_chosen",

    // Saves everything and calls the Rust function in `rcx` with a pointer to what was saved. On the stack: the return
    // address, then `r8`, `rdx`, `rcx`, the trampoline's return address, `rax`, the function's return address.
    ".type diaphane_recorder_outside,@function",
    "diaphane_recorder_outside:",
    "pushfq",
    "push rbp",
    "mov rbp, rsp",
    "cld",
    "push r9",
    "push rdi",
    "push rsi",
    "push r10",
    "push r11",
    "push rax",
    "push rbx",
    "push r12",
    "mov r12, rcx",
    "mov rbx, qword ptr [rip + diaphane_recorder_writer@gottpoff]",
    "mov qword ptr fs:[rbx + 8], 1",
    "mov rdi, rsp",
    "sub rsp, {state_size}",
    "and rsp, -64",
    // The header of the saved state must be clean.
    "xor eax, eax",
    "mov qword ptr [rsp + 512], rax",
    "mov qword ptr [rsp + 520], rax",
    "mov qword ptr [rsp + 528], rax",
    "mov qword ptr [rsp + 536], rax",
    "mov qword ptr [rsp + 544], rax",
    "mov qword ptr [rsp + 552], rax",
    "mov qword ptr [rsp + 560], rax",
    "mov qword ptr [rsp + 568], rax",
    "mov eax, {saved_state}",
    "xor edx, edx",
    "xsave64 [rsp]",
    "mov rsi, rsp",
    "mov rdx, qword ptr fs:[0]",
    "add rdx, rbx",
    "call r12",
    "mov eax, {saved_state}",
    "xor edx, edx",
    "xrstor64 [rsp]",
    "mov qword ptr fs:[rbx + 8], 0",
    "lea rsp, [rbp - 64]",
    "pop r12",
    "pop rbx",
    "pop rax",
    "pop r11",
    "pop r10",
    "pop rsi",
    "pop rdi",
    "pop r9",
    "pop rbp",
    "popfq",
    "ret",
    ".size diaphane_recorder_outside, . - diaphane_recorder_outside",
    active = sym ACTIVE,
    chosen = sym CHOSEN,
    slow = sym slow,
    words = sym words,
    negated_generation = const offset_of!(Writer, negated_generation),
    place = const offset_of!(Writer, place),
    through = const offset_of!(Writer, through),
    instruction = const offset_of!(Writer, instruction),
    not_last = const offset_of!(Writer, not_last),
    next = const offset_of!(Writer, next),
    negated_end = const offset_of!(Writer, negated_end),
    lost = const offset_of!(Writer, lost),
    may_grow = const offset_of!(Writer, may_grow),
    state_size = const STATE_SIZE,
    saved_state = const SAVED_STATE,
);

unsafe extern "C" {
    fn diaphane_recorder_common();
    fn diaphane_recorder_words();
    fn diaphane_recorder_chosen();
}

/// Where `diaphane_recorder_chosen` goes on.
static CHOSEN: AtomicPtr<()> = AtomicPtr::new(diaphane_recorder_common as *mut ());

/// What `diaphane_recorder_outside` saved, from the lowest address on.
#[repr(C)]
pub(crate) struct SavedRegisters {
    r12: usize,
    rbx: usize,
    /// Its lower half is the function's id.
    rax: usize,
    r11: usize,
    r10: usize,
    rsi: usize,
    rdi: usize,
    r9: usize,
    rbp: usize,
    flags: usize,
    outside_returns: usize,
    r8: usize,
    rdx: usize,
    rcx: usize,
    trampoline_returns: usize,
    true_rax: usize,
    /// The return address of the function; behind it lie the arguments that found no register.
    pub back: usize,
}

impl SavedRegisters {
    /// The function's number.
    pub fn function(&self) -> u32 {
        self.rax as u32
    }

    /// The integer or pointer argument of a number, by the C calling convention.
    pub fn integer(&self, number: u8) -> usize {
        let registers = [self.rdi, self.rsi, self.rdx, self.rcx, self.r8, self.r9];
        let number = usize::from(number);
        if let Some(&register) = registers.get(number) {
            return register;
        }
        let on_the_stack = 1 + number - registers.len();
        // SAFETY: the stack behind the return address is the caller's, which has put the arguments there.
        unsafe { (&raw const self.back).add(on_the_stack).read() }
    }
}

/// The vector registers as the processor saves them.
#[repr(C, align(64))]
pub(crate) struct VectorRegisters {
    control: [u8; 160],
    vectors: [[usize; 2]; 16],
}

impl VectorRegisters {
    /// The lower 64 bits of the floating-point argument of a number.
    pub fn float(&self, number: u8) -> usize {
        self.vectors[usize::from(number & 15)][0]
    }
}

/// The address that trampolines call.
pub fn common() -> usize {
    diaphane_recorder_common as *const () as usize
}

/// The address that trampolines of functions call whose arguments are kept.
pub fn common_with_words() -> usize {
    diaphane_recorder_words as *const () as usize
}

/// The address that trampolines of functions call whose arguments are kept in some recordings only.
pub fn common_by_choice() -> usize {
    diaphane_recorder_chosen as *const () as usize
}

/// Says whether those keep arguments from now on.
pub(crate) fn choose_words(words: bool) {
    let chosen = if words {
        diaphane_recorder_words
    } else {
        diaphane_recorder_common
    };
    CHOSEN.store(chosen as *mut (), Ordering::Relaxed);
}

/// The two words of the calling thread: its writer, and whether it is in the recorder's Rust code.
pub(crate) fn own() -> *mut RecorderWords {
    let address: *mut RecorderWords;
    // SAFETY: it computes the address of a thread-local variable, as the compiler would.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + diaphane_recorder_writer@gottpoff]",
            "add {0}, qword ptr fs:[0]",
            out(reg) address,
            options(pure, readonly, nostack),
        );
    }
    address
}

/// What each thread has.
#[repr(C)]
pub(crate) struct RecorderWords {
    pub writer: *mut Writer,
    pub busy: usize,
}

/// Calls the recorder so often, as trampolines do.
pub(crate) fn call_often(rounds: usize) {
    for _ in 0..rounds {
        // SAFETY: the recorder changes no register but `eax`, which is saved around it; the red zone of this function is
        // left alone.
        unsafe {
            asm!(
                "lea rsp, [rsp - 128]",
                "call 2f",
                "lea rsp, [rsp + 128]",
                "jmp 3f",
                "2:",
                "push rax",
                "mov eax, 0",
                "call {common}",
                "pop rax",
                "ret",
                "3:",
                common = sym diaphane_recorder_common,
            );
        }
    }
}

/// Whether hooks can be placed: the processor can save its registers at once.
pub(crate) fn is_supported() -> bool {
    std::arch::is_x86_feature_detected!("xsave")
}
