//! Who started which thread: a table that a `pthread_create` of ours fills, which stands in for the C library's.
//!
//! It leaves the work to the C library's function and notes the start routine, the caller, the creator and the cell;
//! the new thread notes its number before it begins, and its record is dropped at its end, however it ends.
//! Nothing is allocated and no lock is taken, so threads may be started wherever the C library allows it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::running_cells;
use super::running_cells::CellId;
use crate::crash::alternate_stack;
use crate::proc::resource_usage::flushes_subnormals;

/// Threads beyond this many are started without a record.
const MOST: usize = 1024;

/// What a thread is started with. It may be left by unwinding: `pthread_exit` and cancellation do.
pub type Start = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// The C library's `pthread_create`.
pub type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Start,
    *mut c_void,
) -> c_int;

/// How a thread came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreationRecord {
    /// The thread.
    pub tid: i32,
    /// Its start routine.
    pub start: usize,
    /// What the start routine was given.
    pub argument: usize,
    /// Where `pthread_create` was called.
    pub caller: usize,
    /// The thread that called.
    pub creator: i32,
    /// The cell that the creator worked for.
    pub cell: Option<CellId>,
    /// Whether it began with arithmetic that takes subnormal numbers for zero, as the creator's did.
    pub flushes_subnormals: bool,
}

/// One record. It is free where `process` is not this process: a forked child inherits its parent's, without their
/// threads.
struct Slot {
    process: AtomicI32,
    tid: AtomicI32,
    start: AtomicUsize,
    argument: AtomicUsize,
    caller: AtomicUsize,
    creator: AtomicI32,
    cell: AtomicU64,
    flushes: AtomicBool,
}

static SLOTS: [Slot; MOST] = [const { Slot::new() }; MOST];
/// Where the search for a free record begins.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// How many threads were started.
static CREATED: AtomicU64 = AtomicU64::new(0);
/// One more than the key whose destructor drops a record; 0 as long as there is none.
static KEY: AtomicU32 = AtomicU32::new(0);

/// The threads whose creation was recorded, while they live.
pub fn creation_records() -> Vec<CreationRecord> {
    let process = process();
    SLOTS
        .iter()
        .filter_map(|slot| slot.creation_record(process))
        .collect()
}

/// How many threads were started so far, whether they live or not; without [`begin`] none is counted.
pub fn threads_created() -> u64 {
    CREATED.load(Ordering::Relaxed)
}

/// Begins to take notes; without this, threads are started as ever.
#[allow(unsafe_code, reason = "thread-specific data has no safe interface")]
pub fn begin() {
    let mut key = 0;
    // SAFETY: `forget` has the signature of a destructor, and `key` is writable.
    let made = unsafe { libc::pthread_key_create(&raw mut key, Some(forget)) } == 0;
    if made {
        KEY.store(key + 1, Ordering::Release);
    }
}

/// Starts a thread by the function given, and takes a note of it.
///
/// # Safety
///
/// `create` is the C library's `pthread_create`, and the other arguments are what that asks for.
#[allow(unsafe_code, reason = "it stands in for a C function")]
#[unsafe(link_section = "diaphane_stand_ins")]
pub unsafe fn create(
    create: Create,
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
    caller: usize,
) -> c_int {
    CREATED.fetch_add(1, Ordering::Relaxed);
    let Some(slot) = claim() else {
        // SAFETY: by the caller's word.
        return unsafe { create(thread, attributes, start, argument) };
    };
    slot.start.store(start as usize, Ordering::Relaxed);
    slot.argument
        .store(argument.expose_provenance(), Ordering::Relaxed);
    slot.caller.store(caller, Ordering::Relaxed);
    slot.creator.store(own_tid(), Ordering::Relaxed);
    let cell = CellId::raw(running_cells::of_this_thread());
    slot.cell.store(cell, Ordering::Relaxed);
    slot.flushes.store(flushes_subnormals(), Ordering::Relaxed);
    let record = std::ptr::from_ref(slot).cast_mut().cast();
    // SAFETY: by the caller's word; `live` gets a record that is static, and passes on the argument to the start routine.
    let code = unsafe { create(thread, attributes, live, record) };
    if code != 0 {
        // There is no thread that would do it.
        slot.process.store(0, Ordering::Release);
    }
    code
}

/// The new thread's first function: notes the number, and goes on with the real one.
#[allow(unsafe_code, reason = "called by the C library")]
#[unsafe(link_section = "diaphane_stand_ins")]
unsafe extern "C-unwind" fn live(record: *mut c_void) -> *mut c_void {
    // SAFETY: `create` passed a record of the static table.
    let slot = unsafe { &*record.cast::<Slot>() };
    let argument = std::ptr::with_exposed_provenance_mut(slot.argument.load(Ordering::Relaxed));
    // SAFETY: `create` stored a start routine there, which `pthread_create` promised to call.
    let start: Start = unsafe { std::mem::transmute(slot.start.load(Ordering::Relaxed)) };
    running_cells::adopt(CellId::from_raw(slot.cell.load(Ordering::Relaxed)));
    let key = KEY.load(Ordering::Acquire) - 1;
    // SAFETY: the key exists, since records are taken only with one.
    let will_be_dropped = unsafe { libc::pthread_setspecific(key, record) } == 0;
    if will_be_dropped {
        alternate_stack::begin();
        slot.tid.store(own_tid(), Ordering::Release);
    } else {
        slot.process.store(0, Ordering::Release);
    }
    // Nothing here has a destructor, so that `pthread_exit` may unwind through.
    // SAFETY: this is the call that the C library would have made.
    unsafe { start(argument) }
}

/// The destructor: a thread has ended.
#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn forget(record: *mut c_void) {
    // SAFETY: `live` set the value to a record of the static table.
    let slot = unsafe { &*record.cast::<Slot>() };
    // The only thread of a forked child has another number; its parent's record may serve someone else by now.
    if slot.tid.load(Ordering::Relaxed) == own_tid() {
        alternate_stack::end();
        slot.tid.store(0, Ordering::Relaxed);
        slot.process.store(0, Ordering::Release);
    }
}

/// Takes a free record, if there is one and its end would be noticed.
fn claim() -> Option<&'static Slot> {
    if KEY.load(Ordering::Acquire) == 0 {
        return None;
    }
    let process = process();
    let first = NEXT.fetch_add(1, Ordering::Relaxed);
    (0..MOST)
        .map(|step| &SLOTS[(first.wrapping_add(step)) % MOST])
        .find(|slot| {
            let held = slot.process.load(Ordering::Relaxed);
            held != process && {
                let taken = slot.process.compare_exchange(
                    held,
                    process,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                if taken.is_ok() {
                    slot.tid.store(0, Ordering::Relaxed);
                }
                taken.is_ok()
            }
        })
}

impl Slot {
    const fn new() -> Self {
        Self {
            process: AtomicI32::new(0),
            tid: AtomicI32::new(0),
            start: AtomicUsize::new(0),
            argument: AtomicUsize::new(0),
            caller: AtomicUsize::new(0),
            creator: AtomicI32::new(0),
            cell: AtomicU64::new(0),
            flushes: AtomicBool::new(false),
        }
    }

    /// What it holds, unless it changes meanwhile.
    fn creation_record(&self, process: i32) -> Option<CreationRecord> {
        let tid = || {
            let ours = self.process.load(Ordering::Acquire) == process;
            Some(self.tid.load(Ordering::Acquire)).filter(|&tid| ours && tid != 0)
        };
        let record = CreationRecord {
            tid: tid()?,
            start: self.start.load(Ordering::Acquire),
            argument: self.argument.load(Ordering::Acquire),
            caller: self.caller.load(Ordering::Acquire),
            creator: self.creator.load(Ordering::Acquire),
            cell: CellId::from_raw(self.cell.load(Ordering::Acquire)),
            flushes_subnormals: self.flushes.load(Ordering::Acquire),
        };
        (tid() == Some(record.tid)).then_some(record)
    }
}

fn process() -> i32 {
    std::process::id().cast_signed()
}

fn own_tid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::running_cells::tests::TURN;
    use super::*;

    type Gate = (Sender<i32>, Receiver<()>);

    /// Says its number and waits.
    #[allow(unsafe_code, reason = "a start routine")]
    unsafe extern "C-unwind" fn wait(gate: *mut c_void) -> *mut c_void {
        // SAFETY: the test passes a gate that it gave away.
        let gate = unsafe { Box::from_raw(gate.cast::<Gate>()) };
        gate.0.send(own_tid()).unwrap();
        let _ = gate.1.recv();
        std::ptr::null_mut()
    }

    #[allow(unsafe_code, reason = "as `pthread_create` does when there is no room")]
    unsafe extern "C" fn refuse(
        _: *mut libc::pthread_t,
        _: *const libc::pthread_attr_t,
        _: Start,
        _: *mut c_void,
    ) -> c_int {
        libc::EAGAIN
    }

    #[allow(unsafe_code, reason = "threads are started as C does it")]
    #[test]
    fn a_record_lives_as_long_as_its_thread() {
        let _turn = TURN.lock();
        begin();
        let cell = running_cells::begin(Some(7));
        // SAFETY: the C library's function by another type: the start routine may unwind.
        let real: Create = unsafe { std::mem::transmute(libc::pthread_create as *const ()) };
        let (say, said) = channel();
        let (open, opened) = channel();
        let gate: Box<Gate> = Box::new((say, opened));
        let mut thread = 0;
        let argument = Box::into_raw(gate);
        // SAFETY: all arguments live as long as the thread, which is joined below.
        let code = unsafe {
            create(
                real,
                &raw mut thread,
                std::ptr::null(),
                wait,
                argument.cast(),
                42,
            )
        };
        assert_eq!(code, 0);
        let tid = said.recv().unwrap();
        let find = || {
            creation_records()
                .into_iter()
                .find(|record| record.tid == tid)
        };
        let expected = CreationRecord {
            tid,
            start: wait as *const () as usize,
            argument: argument.addr(),
            caller: 42,
            creator: own_tid(),
            cell: Some(cell),
            flushes_subnormals: false,
        };
        assert_eq!(find(), Some(expected));
        running_cells::end(cell);
        drop(open);
        // SAFETY: the thread was started above and is joined once.
        let joined = unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
        assert_eq!(joined, 0);
        assert_eq!(find(), None);

        // SAFETY: nothing is started.
        let code = unsafe {
            create(
                refuse,
                &raw mut thread,
                std::ptr::null(),
                wait,
                std::ptr::null_mut(),
                0,
            )
        };
        assert_eq!(code, libc::EAGAIN);
        assert!(
            SLOTS
                .iter()
                .all(|slot| slot.process.load(Ordering::Relaxed) == 0)
        );
    }
}
