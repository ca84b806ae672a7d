//! Hooks of calls in this very process: they are seen, counted, and leave nothing behind.

#![allow(unsafe_code, reason = "C functions are called and memory is compared")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_arch = "x86_64")]

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use diaphane_sight::linker::libraries::{Library, loaded};
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans;
use diaphane_trace::event::{Event, kind};
use diaphane_trace::got_hooks::{Hooks, PreparedGotHooks, Site, got};
use diaphane_trace::memory_budget;
use diaphane_trace::recorder::argument_capture::{Capture, learn};
use diaphane_trace::recorder::{CallRecording, RecorderPlan, begin, functions, note};

const PLAN: RecorderPlan = RecorderPlan {
    capacity: 1 << 20,
    words: false,
    place: None,
};

/// There is one recorder.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

fn libraries() -> Vec<Library> {
    loaded(&Maps::read().unwrap()).unwrap()
}

fn place(sites: &[Site]) -> Hooks {
    Hooks::place(Arc::new(PreparedGotHooks::new(sites).unwrap()))
}

/// A table of one pointer, as a library has many.
struct Table(usize);

impl Table {
    fn of(function: *const ()) -> Box<Self> {
        Box::new(Self(function as usize))
    }

    fn site(&self, words: bool) -> Site {
        Site {
            address: (&raw const self.0).addr(),
            target: self.0,
            library: None,
            words,
        }
    }

    fn call(&self, a: i64, b: i64) -> i64 {
        let place = &raw const self.0;
        // SAFETY: the table holds `add` or a trampoline that goes on there.
        let function: extern "C" fn(i64, i64) -> i64 =
            unsafe { std::mem::transmute(place.read_volatile()) };
        function(a, b)
    }

    /// Asserts that the child of a fork finds `add` here.
    fn assert_back_in_a_child(&self) {
        // SAFETY: the child only reads a word and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let place = &raw const self.0;
            // SAFETY: as in `call`.
            let is_back = unsafe { place.read_volatile() } == add as *const () as usize;
            // SAFETY: it ends without destructors.
            unsafe { libc::_exit(if is_back { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: `status` is writable.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
}

#[inline(never)]
extern "C" fn add(a: i64, b: i64) -> i64 {
    std::hint::black_box(a) + b
}

fn count(recording: &CallRecording, function: usize) -> usize {
    let events = recording.logs.iter().flat_map(|log| &log.events);
    events
        .filter(|event| event.id < kind::FIRST && functions::address_of(event.id) == Some(function))
        .count()
}

#[test]
fn every_call_through_a_hooked_pointer_is_an_event() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let running = begin(PLAN).unwrap();
    let hooks = place(&[table.site(false)]);
    let mut sum = 0;
    for number in 0..10_000 {
        sum = table.call(sum, number);
    }
    drop(hooks);
    table.call(1, 2);
    let recording = running.end();
    assert_eq!(sum, 9_999 * 10_000 / 2);
    assert_eq!(count(&recording, add as *const () as usize), 10_000);
    assert_eq!(table.0, add as *const () as usize);
    let times: Vec<u64> = recording.logs[0]
        .events
        .iter()
        .map(|one| one.time)
        .collect();
    assert!(times.is_sorted() && recording.event_ns < 1000.0);
}

#[test]
fn arguments_are_kept_where_asked() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let number = functions::register(table.0).unwrap();
    let text = 0x1234_5678_9abc_def0_usize;
    learn([(
        number,
        vec![
            Capture::Integer(0),
            Capture::Pointed(1, 1),
            Capture::Pointed32(1),
            Capture::Pointed8(1),
        ],
    )]);
    let running = begin(PLAN).unwrap();
    let hooks = place(&[table.site(true)]);
    let answer = table.call(7, (&raw const text).addr().cast_signed() as i64);
    drop(hooks);
    let log = running.end().logs.pop().unwrap();
    assert_eq!(answer, 7 + (&raw const text).addr() as i64);
    assert_eq!(log.events[0].extra, 2);
    let [first, second] = [log.events[1], log.events[2]];
    assert_eq!((first.id, first.time, first.stack), (kind::WORDS, 7, text));
    assert_eq!(first.back, 0x9abc_def0_u32 as i32 as isize as usize);
    assert_eq!(second.time, 0xf0);
}

#[test]
fn an_argument_that_is_no_address_is_not_followed() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let number = functions::register(table.0).unwrap();
    let page = rustix::param::page_size();
    let text = 0x1234_5678_9abc_def0_usize;
    let good = (&raw const text).addr();
    for bad in [7, page, usize::MAX - 2, 0xdead_beef_dead_0000] {
        for capture in [
            Capture::Pointed(1, 2),
            Capture::Pointed32(1),
            Capture::Pointed8(1),
        ] {
            learn([(number, vec![Capture::Integer(0), capture])]);
            let running = begin(PLAN).unwrap();
            let hooks = place(&[table.site(true)]);
            table.call(7, bad.cast_signed() as i64);
            table.call(7, good.cast_signed() as i64);
            drop(hooks);
            let log = running.end().logs.pop().unwrap();
            let kinds: Vec<u32> = log.events.iter().map(|event| event.id).collect();
            assert_eq!(kinds, [number, kind::UNREADABLE, number, kind::WORDS]);
        }
    }
}

#[test]
fn what_a_question_leaves_unset_is_not_read() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let number = functions::register(table.0).unwrap();
    let size = -1_i64;
    let wanted = (&raw const size).addr().cast_signed() as i64;
    learn([(
        number,
        vec![
            Capture::Asks(1, true),
            Capture::Real(0, 16),
            Capture::Pointed(1, 1),
        ],
    )]);
    let running = begin(PLAN).unwrap();
    let hooks = place(&[table.site(true)]);
    table.call(7, wanted);
    drop(hooks);
    let log = running.end().logs.pop().unwrap();
    let words = log.events[1];
    assert_eq!((words.time, words.stack), (0, 0));
    assert_eq!((words.id, words.back), (kind::WORDS, usize::MAX));
}

#[test]
fn other_threads_take_part() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let running = begin(PLAN).unwrap();
    let hooks = place(&[table.site(false)]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|number| _ = table.call(number, 1)));
        }
    });
    drop(hooks);
    let recording = running.end();
    assert_eq!(recording.logs.len(), 4);
    assert!(recording.logs.iter().all(|log| log.events.len() == 1000));
    // Their writers serve the next ones.
    for _ in 0..300 {
        let running = begin(PLAN).unwrap();
        let hooks = place(&[table.site(false)]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| table.call(1, 2));
            }
        });
        drop(hooks);
        assert_eq!(running.end().left_out, 0);
    }
}

#[test]
fn what_finds_no_room_is_counted() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let running = begin(RecorderPlan {
        capacity: 10,
        ..PLAN
    })
    .unwrap();
    assert!(begin(PLAN).is_err(), "there is one recorder");
    let hooks = place(&[table.site(false)]);
    (0..25).for_each(|number| _ = table.call(number, 1));
    drop(hooks);
    let log = running.end().logs.pop().unwrap();
    assert_eq!((log.events.len(), log.lost), (10, 15));
    drop(begin(PLAN).unwrap());
}

#[test]
fn vector_registers_and_flags_survive_a_first_event() {
    let _alone = alone();
    #[inline(never)]
    extern "C" fn scale(x: f64, y: f64) -> f64 {
        std::hint::black_box(x) * y
    }
    let table = Table::of(scale as *const ());
    let running = begin(PLAN).unwrap();
    let hooks = place(&[table.site(false)]);
    let answers: Vec<f64> = std::thread::scope(|scope| {
        let call = || {
            let place = &raw const table.0;
            // SAFETY: the table holds `scale` or a trampoline that goes on there.
            let function: extern "C" fn(f64, f64) -> f64 =
                unsafe { std::mem::transmute(place.read_volatile()) };
            function(1.5, 4.0)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    drop(hooks);
    assert_eq!(answers, [6.0; 8]);
    assert_eq!(count(&running.end(), scale as *const () as usize), 8);
}

/// The bytes of all slots that are hooked.
fn bytes(sites: &[Site]) -> Vec<Option<usize>> {
    sites.iter().map(|site| spans::word(site.address)).collect()
}

#[test]
fn the_tables_of_libraries_are_as_before() {
    let _alone = alone();
    let libraries = libraries();
    let own = libraries.iter().skip(1);
    let sites: Vec<Site> = own
        .flat_map(|library| got::calls(library, &libraries, |_| true).sites)
        .collect();
    assert!(!sites.is_empty());
    let (before, rights) = (bytes(&sites), perms(&sites));
    let hooks = place(&sites);
    let during = bytes(&sites);
    assert!(
        before
            .iter()
            .zip(&during)
            .all(|(before, during)| before != during)
    );
    drop(hooks);
    assert_eq!(bytes(&sites), before);
    assert_eq!(perms(&sites), rights);
}

fn perms(sites: &[Site]) -> Vec<String> {
    let maps = Maps::read().unwrap();
    let of = |site: &Site| maps.find(site.address).unwrap().perms.clone();
    sites.iter().map(of).collect()
}

#[test]
fn the_child_of_a_fork_has_no_hooks() {
    let _alone = alone();
    let table = Table::of(add as *const ());
    let running = begin(PLAN).unwrap();
    let hooks = place(&[table.site(false)]);
    table.assert_back_in_a_child();
    table.call(1, 2);
    drop(hooks);
    assert_eq!(count(&running.end(), add as *const () as usize), 1);
}

#[test]
fn the_child_of_a_fork_survives_tables_that_are_gone() {
    let _alone = alone();
    let size = 4096;
    let map = |at: *mut libc::c_void, flags: i32| {
        let (rights, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
        );
        // SAFETY: a new mapping, or one where this test has just unmapped its own.
        unsafe { libc::mmap(at, size, rights, flags, -1, 0) }
    };
    let memory = map(std::ptr::null_mut(), 0);
    let site = Site {
        address: memory.addr(),
        target: add as *const () as usize,
        library: None,
        words: false,
    };
    // SAFETY: the memory is this test's own.
    unsafe { memory.cast::<usize>().write(site.target) };
    let table = Table::of(add as *const ());
    let hooks = place(&[site, table.site(false)]);
    // As when another thread unloads a library.
    // SAFETY: nobody reads it any more.
    assert_eq!(unsafe { libc::munmap(memory, size) }, 0);
    table.assert_back_in_a_child();
    // By now the memory may be that of another thread of this process, as of any library's; otherwise it is ours again.
    let again = map(memory, libc::MAP_FIXED_NOREPLACE);
    assert!(again == memory || again == libc::MAP_FAILED);
    drop(hooks);
}

#[test]
fn all_threads_share_one_budget_of_memory() {
    let _alone = alone();
    let running = begin(RecorderPlan {
        capacity: 1 << 23,
        ..PLAN
    })
    .unwrap();
    let write = || {
        for _ in 0..6_000_000 {
            note(Event {
                id: kind::C_LEAVES,
                ..Event::default()
            });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(write);
        }
    });
    let recording = running.end();
    let events: usize = recording.logs.iter().map(|log| log.events.len()).sum();
    let lost: u64 = recording.logs.iter().map(|log| log.lost).sum();
    assert_eq!(
        events as u64 + lost,
        12_000_000,
        "nothing is lost uncounted"
    );
    assert!(lost > 0);
    assert!(events * size_of::<Event>() <= memory_budget());
    // What was taken is given back.
    let running = begin(PLAN).unwrap();
    (0..100_000).for_each(|_| {
        note(Event {
            id: kind::C_LEAVES,
            ..Event::default()
        })
    });
    assert_eq!(
        running.end().logs.iter().map(|log| log.lost).sum::<u64>(),
        0
    );
}
