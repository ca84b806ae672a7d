//! Samples of threads whose work is known.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use diaphane_sight::code::symbols::place;
use diaphane_sight::linker::libraries::Library;

use super::*;

/// One recording at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[derive(Default)]
struct Kept {
    libraries: Arc<Vec<Library>>,
    samples: Vec<(i32, Doing, Vec<String>, bool)>,
}

impl Sink for Kept {
    fn loaded(&mut self, libraries: &Arc<Vec<Library>>) {
        self.libraries = Arc::clone(libraries);
    }

    fn moment(&mut self) {}

    fn sample(&mut self, sample: Sample) {
        let name = |address| Some(place(address, &self.libraries)?.symbol?.name);
        let frames = sample.stack.frames.iter();
        let names = frames.filter_map(|frame| name(frame.lookup)).collect();
        self.samples
            .push((sample.tid, sample.doing, names, sample.stack.complete));
    }
}

fn own() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

fn plan(clock: Clock) -> SamplerPlan {
    SamplerPlan {
        hz: 997,
        clock,
        threads: Threads::Users,
        main: own(),
        floor: 0,
        note: |_, _| 0,
        arguments: HashMap::new,
        gil: None,
    }
}

#[inline(never)]
fn spin_inside(stop: &AtomicBool) -> u64 {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
    }
    std::hint::black_box(count)
}

#[inline(never)]
fn spin_outside(stop: &AtomicBool, said: &Sender<i32>) -> u64 {
    said.send(own()).unwrap();
    std::hint::black_box(spin_inside(stop)) + 1
}

/// Takes samples until the worker has used so much of a CPU.
fn recorded(clock: Clock) -> (i32, Kept, Totals) {
    let running = begin(plan(clock), Kept::default()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (say, said) = channel();
    let flag = Arc::clone(&stop);
    let worker = std::thread::spawn(move || spin_outside(&flag, &say));
    let tid = said.recv().unwrap();
    while timer::cpu(tid).unwrap() < 300_000_000 {
        std::hint::spin_loop();
    }
    stop.store(true, Ordering::Relaxed);
    worker.join().unwrap();
    let (kept, totals) = running.end().unwrap();
    (tid, kept, totals)
}

#[test]
fn a_new_thread_is_seen_where_it_spins() {
    let _alone = ALONE.lock();
    let (tid, kept, totals) = recorded(Clock::Cpu);
    let samples: Vec<_> = kept.samples.iter().filter(|one| one.0 == tid).collect();
    assert!(samples.len() > 50, "{} samples, {totals:?}", samples.len());
    let spins = samples.iter().filter(|(_, _, names, complete)| {
        let place = |part: &str| names.iter().position(|name| name.contains(part));
        let inside = place("spin_inside");
        *complete && inside.is_some() && place("spin_outside") == inside.map(|place| place + 1)
    });
    let spins = spins.count();
    assert!(
        spins * 100 >= samples.len() * 95,
        "{spins} of {}",
        samples.len()
    );
}

#[test]
#[allow(unsafe_code, reason = "a system call without a safe interface")]
fn a_call_that_a_signal_would_end_goes_on_and_is_seen() {
    let _alone = ALONE.lock();
    let (say, said) = channel();
    let sleeper = std::thread::spawn(move || {
        say.send(own()).unwrap();
        // SAFETY: a set of signals is plain bits.
        let mut nothing: libc::sigset_t = unsafe { std::mem::zeroed() };
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 300_000_000,
        };
        // SAFETY: the set is empty, and nobody wants to know of a signal.
        let waited =
            unsafe { libc::sigtimedwait(&raw mut nothing, std::ptr::null_mut(), &raw const time) };
        (waited, std::io::Error::last_os_error().raw_os_error())
    });
    let main = said.recv().unwrap();
    let plan = SamplerPlan {
        main,
        ..plan(Clock::Wall)
    };
    let running = begin(plan, Kept::default()).unwrap();
    let ended = sleeper.join().unwrap();
    let (kept, _) = running.end().unwrap();
    assert_eq!(ended, (-1, Some(libc::EAGAIN)), "it waits to its end");
    let looks = kept.samples.iter().filter(|one| one.0 == main);
    assert!(looks.clone().count() > 0);
    assert!(looks.clone().any(|(_, doing, names, _)| {
        *doing == Doing::Waiting && names.iter().any(|name| name.contains("sigtimedwait"))
    }));
}

#[test]
fn only_one_recording_runs_and_the_next_one_can() {
    let _alone = ALONE.lock();
    let running = begin(plan(Clock::Wall), Kept::default()).unwrap();
    let second = begin(plan(Clock::Wall), Kept::default());
    assert!(matches!(second, Err(SamplerRefused::Busy)));
    drop(running);
    let (_, kept, _) = recorded(Clock::Wall);
    assert!(!kept.samples.is_empty());
}
