//! Starts the process that reads a dying one: from a signal handler, without a lock and without memory of malloc's.
#![allow(unsafe_code, reason = "a process is started in a signal handler")]

use std::cell::UnsafeCell;
use std::ffi::{CString, c_char, c_void};
use std::ptr;

use diaphane_forks::ForkOnce;

/// What the child stands on until it runs another program.
const STACK: usize = 32 << 10;

/// What is run, made before anything is broken.
pub(super) struct Command {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    /// Their addresses, with a null at the end.
    argument_list: Vec<*const c_char>,
    environment_list: Vec<*const c_char>,
    /// What becomes its standard output and error.
    output: i32,
    errors: i32,
}

// SAFETY: the pointers lead into strings that the value owns and nobody changes.
unsafe impl Send for Command {}
// SAFETY: as above.
unsafe impl Sync for Command {}

#[repr(align(16))]
struct ChildStack(UnsafeCell<[u8; STACK]>);

// SAFETY: only the child of the one thread that reports stands on it.
unsafe impl Sync for ChildStack {}

static STACK_OF_CHILD: ChildStack = ChildStack(UnsafeCell::new([0; STACK]));
static COMMAND: ForkOnce<Command> = ForkOnce::new();

/// Says what to run: this program again, with these arguments.
pub(super) fn prepare(arguments: Vec<CString>, output: i32, errors: i32) {
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let mut line = name.into_encoded_bytes();
            line.push(b'=');
            line.extend(value.into_encoded_bytes());
            CString::new(line).ok()
        })
        .collect();
    let list = |strings: &[CString]| {
        let addresses = strings.iter().map(|one| one.as_ptr());
        addresses.chain([ptr::null()]).collect()
    };
    COMMAND.get_or_init(|| Command {
        argument_list: list(&arguments),
        environment_list: list(&environment),
        arguments,
        environment,
        output,
        errors,
    });
}

/// Starts it. It is safe in a signal handler. The calling thread waits until the program has begun.
pub(super) fn start() -> Option<i32> {
    let command = COMMAND.get()?;
    debug_assert!(command.arguments.len() + command.environment.len() > 0);
    // Who may read this process: it is the child, which is not known yet.
    // SAFETY: the process only says so of itself.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    let top = STACK_OF_CHILD.0.get().wrapping_add(1).cast::<c_void>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    let argument = ptr::from_ref(command).cast_mut().cast();
    // SAFETY: the child has a stack of its own, and runs `run` only, while this thread waits.
    let pid = unsafe { libc::clone(run, top, flags, argument) };
    // Who reads the output hears of its end.
    // SAFETY: the descriptor is the command's, which is started once.
    unsafe { libc::close(command.output) };
    (pid > 0).then_some(pid)
}

/// All that the child does in this program, whose memory it shares.
extern "C" fn run(command: *mut c_void) -> i32 {
    // SAFETY: `start` passed a command that is static.
    let command = unsafe { &*command.cast::<Command>() };
    let none = 0_u64;
    // SAFETY: a mask of eight bytes is what the kernel reads.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    };
    // SAFETY: the child has descriptors of its own.
    unsafe { libc::dup2(command.output, libc::STDOUT_FILENO) };
    // SAFETY: as above.
    unsafe { libc::dup2(command.errors, libc::STDERR_FILENO) };
    // SAFETY: both lists end with a null and lead to strings that stay.
    unsafe {
        libc::execve(
            c"/proc/self/exe".as_ptr(),
            command.argument_list.as_ptr(),
            command.environment_list.as_ptr(),
        )
    };
    // SAFETY: it leaves without any of the parent's exit handlers.
    unsafe { libc::syscall(libc::SYS_exit, 127) };
    127
}
