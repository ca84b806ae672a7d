//! System calls of this very process: all are seen, each does what it does without us, and nothing is left behind.

#![allow(unsafe_code, reason = "system calls are made and signals are handled")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_arch = "x86_64")]

use parking_lot::{Mutex, MutexGuard};
use std::ffi::CString;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_trace::syscalls::{
    Call, RunningSyscalls, SignalSafeCallback, SyscallPlan, SyscallRecording, SyscallsRefused,
    begin,
};

const PLAN: SyscallPlan = SyscallPlan {
    floor: 0,
    capacity: 16 << 20,
    only: None,
    stacks: true,
    callback: None,
};

/// There is one recording at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

fn record<T>(run: impl FnOnce() -> T) -> (T, SyscallRecording) {
    let running = begin(PLAN).unwrap();
    let value = run();
    (value, running.end())
}

fn of(recording: &SyscallRecording, number: i64) -> Vec<&Call> {
    let calls = recording.calls.iter();
    calls.filter(|call| call.number == number).collect()
}

fn text(call: &Call, argument: usize) -> String {
    String::from_utf8_lossy(call.text(argument).unwrap_or_default()).into_owned()
}

/// The lines of `/proc/self/status` about signals, but for the queue: it is counted for all processes of the user.
fn signals() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let lines = status
        .lines()
        .filter(|line| line.starts_with("Sig") && !line.starts_with("SigQ"));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_call_is_seen_with_its_arguments_and_result() {
    let _alone = alone();
    let path = CString::new("/dev/null").unwrap();
    let missing = CString::new("/nowhere/at all").unwrap();
    let (pid, found) = record(|| {
        for _ in 0..1000 {
            // SAFETY: it only asks.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        // SAFETY: the paths are texts, and the descriptor is ours.
        unsafe {
            let file = libc::open(path.as_ptr(), libc::O_WRONLY);
            libc::write(file, c"twelve bytes".as_ptr().cast(), 12);
            libc::close(file);
            libc::open(missing.as_ptr(), libc::O_RDONLY);
            // A pointer that leads nowhere is the kernel's to refuse.
            libc::syscall(libc::SYS_openat, libc::AT_FDCWD, 8, 0);
            libc::syscall(libc::SYS_rt_sigprocmask, 0, 8, 0, 8);
        }
        std::process::id()
    });
    assert_eq!(of(&found, libc::SYS_getppid).len(), 1000);
    let opens = of(&found, libc::SYS_openat);
    assert_eq!(opens.len(), 3);
    assert_eq!(text(opens[0], 1), "/dev/null");
    assert!(opens[0].result.unwrap() > 2 && opens[0].took_ns.is_some());
    assert_eq!(text(opens[1], 1), "/nowhere/at all");
    assert_eq!(opens[1].error(), Some(libc::ENOENT));
    assert_eq!(
        (opens[2].error(), opens[2].text(1)),
        (Some(libc::EFAULT), None)
    );
    let masks = of(&found, libc::SYS_rt_sigprocmask);
    assert_eq!(masks.last().unwrap().error(), Some(libc::EFAULT));
    let writes = of(&found, libc::SYS_write);
    assert_eq!(
        (text(writes[0], 1), writes[0].result),
        ("twelve bytes".into(), Some(12))
    );
    assert_eq!(found.threads.len(), 1);
    assert!(pid > 0 && found.lost == 0 && found.left_out == 0);
}

#[test]
fn nothing_is_left_behind() {
    let _alone = alone();
    let before = signals();
    for _ in 0..10_000 {
        let running = begin(SyscallPlan {
            capacity: 1 << 16,
            ..PLAN
        })
        .unwrap();
        drop(running);
    }
    assert_eq!(signals(), before);
    let (_, found) = record(|| assert!(matches!(begin(PLAN), Err(SyscallsRefused::Busy))));
    assert!(found.calls.len() < 10);
    assert_eq!(signals(), before);
}

#[test]
fn a_thread_takes_part_from_its_beginning() {
    let _alone = alone();
    let (numbers, found) = record(|| {
        let threads: Vec<_> = (0..50)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..100 {
                        // SAFETY: it only asks.
                        unsafe { libc::syscall(libc::SYS_getppid) };
                    }
                    // SAFETY: it only asks.
                    unsafe { libc::gettid() }
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect::<Vec<_>>()
    });
    for tid in &numbers {
        let own = found.calls.iter().filter(|call| call.tid == *tid);
        let asked = own.filter(|call| call.number == libc::SYS_getppid);
        assert_eq!(asked.count(), 100);
    }
    let births: Vec<i32> = of(&found, libc::SYS_clone3)
        .iter()
        .map(|call| call.result.unwrap() as i32)
        .collect();
    assert_eq!(births, numbers);
    assert_eq!((found.threads.len(), found.left_out), (51, 0));
}

#[test]
fn children_live_as_ever() {
    let _alone = alone();
    let (output, found) = record(|| {
        // SAFETY: the child makes two calls and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(libc::getppid() == 0) + 7) };
        }
        let mut status = 0;
        // SAFETY: it waits for our child.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 7);
        // The standard library uses posix_spawn, whose child borrows our memory.
        let output = Command::new("/bin/echo").arg("hello").output().unwrap();
        assert!(Command::new("/nowhere").output().is_err());
        output
    });
    assert_eq!(output.stdout, b"hello\n");
    let forks = of(&found, libc::SYS_clone);
    assert!(forks[0].result.unwrap() > 1 && forks[0].took_ns.is_some());
    let waits = of(&found, libc::SYS_wait4);
    assert_eq!(waits[0].result, forks[0].result);
    assert_eq!(found.left_out, 0);
}

static ALARMS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_signal: i32) {
    // SAFETY: it only asks, from a handler.
    unsafe { libc::syscall(libc::SYS_getppid) };
    ALARMS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn signals_reach_the_program_while_it_waits() {
    let _alone = alone();
    let before = signals();
    // SAFETY: the structures are valid, and the handler is safe in a signal.
    let (slept, found) = record(|| unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        // The handler blocks everything, SIGSYS too as it believes.
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
        let own = libc::pthread_self() as usize;
        let sender = std::thread::spawn(move || {
            while ALARMS.load(Ordering::Relaxed) < 3 {
                libc::pthread_kill(own as libc::pthread_t, libc::SIGUSR1);
                std::thread::yield_now();
            }
        });
        // It sleeps until it is interrupted.
        let long = libc::timespec {
            tv_sec: 1000,
            tv_nsec: 0,
        };
        let slept = libc::nanosleep(&raw const long, std::ptr::null_mut());
        let interrupted = *libc::__errno_location();
        sender.join().unwrap();
        // Everything blocked: the C library believes that it did so.
        let (mut all, mut was): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut was);
        libc::getppid();
        let mut now: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const was, &raw mut now);
        assert_eq!(libc::sigismember(&raw const now, libc::SIGSYS), 1);
        assert_eq!(libc::sigismember(&raw const now, libc::SIGUSR2), 1);
        assert_eq!(libc::sigismember(&raw const was, libc::SIGSYS), 0);
        let mut read: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGUSR1, std::ptr::null(), &raw mut read);
        assert_eq!(libc::sigismember(&raw const read.sa_mask, libc::SIGSYS), 1);
        (slept, interrupted)
    });
    assert_eq!(slept, (-1, libc::EINTR));
    let returns = of(&found, libc::SYS_rt_sigreturn).len();
    assert_eq!(returns, ALARMS.load(Ordering::Relaxed));
    // What the program installed stays as it asked for it.
    // SAFETY: the structures are valid.
    unsafe {
        let mut read: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGUSR1, std::ptr::null(), &raw mut read);
        assert_eq!(libc::sigismember(&raw const read.sa_mask, libc::SIGSYS), 1);
        libc::signal(libc::SIGUSR1, libc::SIG_DFL);
    }
    assert_eq!(signals(), before);
}

/// A handler that has everything blocked when it returns.
extern "C" fn block_all(_: i32, _: *const libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes the context.
    unsafe { libc::sigfillset(&raw mut (*context).uc_sigmask) };
}

#[test]
fn a_handler_may_leave_everything_blocked() {
    let _alone = alone();
    let before = signals();
    let (blocked, found) = record(|| {
        // SAFETY: the structures are valid, and the handler is safe in a signal.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = block_all as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
            libc::raise(libc::SIGUSR1);
            libc::getppid();
            let (none, mut was): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, &raw mut was);
            libc::signal(libc::SIGUSR1, libc::SIG_DFL);
            libc::sigismember(&raw const was, libc::SIGSYS)
        }
    });
    assert_eq!(blocked, 1);
    assert_eq!(of(&found, libc::SYS_getppid).len(), 1);
    assert_eq!(signals(), before);
}

/// Waits until a thread waits.
fn until_it_sleeps(tid: i32) {
    let stat = format!("/proc/self/task/{tid}/stat");
    let sleeps = || std::fs::read_to_string(&stat).unwrap().contains(") S ");
    while !sleeps() {
        std::thread::yield_now();
    }
}

#[test]
fn a_waiting_thread_leaves_when_it_wakes() {
    let _alone = alone();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (say, said) = std::sync::mpsc::channel();
    let (worker, found) = record(|| {
        let worker = std::thread::spawn(move || {
            // SAFETY: it only asks.
            say.send(unsafe { libc::gettid() }).unwrap();
            gate.recv().unwrap_err();
            signals()
        });
        let tid = said.recv().unwrap();
        until_it_sleeps(tid);
        (worker, tid)
    });
    assert_eq!(found.still_running, 1);
    assert!(found.threads.contains(&worker.1));
    drop(open);
    worker.0.join().unwrap();
    // It was the last one, and took the handler away.
    let caught = signals()
        .into_iter()
        .find(|line| line.starts_with("SigCgt"));
    let caught = u64::from_str_radix(caught.unwrap().split_whitespace().nth(1).unwrap(), 16);
    assert_eq!(caught.unwrap() >> (libc::SIGSYS - 1) & 1, 0);
}

fn note(argument: usize, seen: &mut [usize; 2], room: &mut [u8]) -> usize {
    // SAFETY: the test passes the address of a number.
    let value = unsafe { *(argument as *const usize) };
    if seen[0] == value {
        return 0;
    }
    seen[0] = value;
    room[0] = value as u8;
    1
}

#[test]
fn only_what_is_wanted_is_written_down() {
    let _alone = alone();
    let running = begin(SyscallPlan {
        only: Some(|number| number == libc::SYS_getppid),
        stacks: false,
        ..PLAN
    })
    .unwrap();
    let ask = || {
        // SAFETY: they only ask.
        unsafe {
            libc::syscall(libc::SYS_getuid);
            libc::syscall(libc::SYS_getppid);
        }
    };
    ask();
    // What starts a thread is not written down, and the thread is followed nevertheless.
    std::thread::scope(|scope| drop(scope.spawn(ask).join()));
    let found = running.end();
    let numbers: Vec<i64> = found.calls.iter().map(|call| call.number).collect();
    assert_eq!(numbers, [libc::SYS_getppid; 2]);
    assert_ne!(found.calls[0].tid, found.calls[1].tid);
    let is_bare = |call: &Call| call.registers.copy.is_empty() && call.registers.code != 0;
    assert!(found.calls.iter().all(is_bare));
}

#[test]
fn a_callback_says_where() {
    let _alone = alone();
    let place = Box::new(AtomicUsize::new(1));
    let argument = std::ptr::from_ref(&*place).addr();
    let callback = Some(SignalSafeCallback::new(note, argument));
    let running: RunningSyscalls = begin(SyscallPlan { callback, ..PLAN }).unwrap();
    for number in [1, 1, 2] {
        place.store(number, Ordering::Relaxed);
        // SAFETY: it only asks.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
    let found = running.end();
    let places: Vec<_> = of(&found, libc::SYS_getppid)
        .iter()
        .map(|call| found.places[call.place.unwrap()].clone())
        .collect();
    assert_eq!(places, [[1], [1], [2]]);
}

#[test]
fn the_alternate_stack_is_the_programs() {
    let _alone = alone();
    let mut memory = vec![0_u8; 64 * 1024];
    // SAFETY: the structures are valid, and the memory outlives its use as a stack.
    unsafe {
        let stack = libc::stack_t {
            ss_sp: memory.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: memory.len(),
        };
        let mut before: libc::stack_t = std::mem::zeroed();
        let mut now: libc::stack_t = std::mem::zeroed();
        let running = begin(PLAN).unwrap();
        libc::sigaltstack(&raw const stack, &raw mut before);
        libc::getppid();
        libc::sigaltstack(std::ptr::null(), &raw mut now);
        drop(running);
        assert_eq!((now.ss_sp, now.ss_size), (stack.ss_sp, stack.ss_size));
        libc::sigaltstack(&raw const before, std::ptr::null_mut());
    }
}
