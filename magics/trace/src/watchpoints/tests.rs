//! Writes whose value, place and thread are known.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::thread;

use diaphane_sight::code::symbols::place;
use parking_lot::Mutex;

use super::*;

/// One watch at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[derive(Default)]
struct Kept {
    libraries: Arc<Vec<Library>>,
    hits: Vec<(Hit, Vec<String>)>,
}

impl HitSink for Kept {
    fn loaded(&mut self, libraries: &Arc<Vec<Library>>) {
        self.libraries = Arc::clone(libraries);
    }

    fn hit(&mut self, hit: Hit, stack: Stack) {
        let name = |address| Some(place(address, &self.libraries)?.symbol?.name);
        let frames = stack.frames.iter();
        let names = frames.filter_map(|frame| name(frame.lookup)).collect();
        self.hits.push((hit, names));
    }
}

fn own() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

fn plan(word: &u64) -> WatchPlan {
    WatchPlan {
        spots: vec![WatchedSpot {
            address: std::ptr::from_ref(word).addr(),
            length: 8,
        }],
        access: Access::Write,
        most: 1000,
        main: (own(), 0),
        note: |_, _| 0,
        at_first: None,
    }
}

#[inline(never)]
#[allow(unsafe_code, reason = "a write that the compiler must not leave out")]
fn write_inside(word: &mut u64, value: u64) {
    // SAFETY: a reference is valid.
    unsafe { std::ptr::write_volatile(word, value) };
}

fn values(kept: &Kept) -> Vec<(u64, u64)> {
    kept.hits
        .iter()
        .map(|(hit, _)| (hit.old, hit.new))
        .collect()
}

#[test]
fn each_write_is_seen_with_its_place_and_its_values() {
    let _alone = ALONE.lock();
    let mut words = Box::new([7_u64, 0]);
    let watch = begin(&plan(&words[0]), Kept::default()).unwrap();
    write_inside(&mut words[0], 8);
    write_inside(&mut words[1], 1);
    write_inside(&mut words[0], 8);
    write_inside(&mut words[0], 9);
    let (kept, totals) = watch.end().unwrap();
    write_inside(&mut words[0], 10);
    assert_eq!(values(&kept), [(7, 8), (8, 8), (8, 9)]);
    for (hit, names) in &kept.hits {
        assert_eq!(hit.tid, own());
        assert!(names[0].contains("write_inside"), "{names:?}");
        assert!(!hit.is_late);
    }
    assert_eq!((totals.hits, totals.lost, totals.is_full), (3, 0, false));
    assert!(totals.changed_unseen.is_empty() && totals.unwatched.is_empty());
}

#[test]
fn threads_are_watched_that_were_there_and_that_come() {
    let _alone = ALONE.lock();
    let mut words = Box::new([0_u64; 1]);
    let address = words.as_mut_ptr().addr();
    let word = move || {
        #[allow(unsafe_code, reason = "threads take turns")]
        // SAFETY: the box lives until all threads have ended, and one at a time writes.
        unsafe {
            &mut *(address as *mut u64)
        }
    };
    let (go, goes) = channel::<()>();
    let (said, tids) = channel();
    let other = said.clone();
    let before = thread::spawn(move || {
        other.send(own()).unwrap();
        goes.recv().unwrap();
        write_inside(word(), 1);
    });
    let before_tid = tids.recv().unwrap();
    let watch = begin(&plan(&words[0]), Kept::default()).unwrap();
    go.send(()).unwrap();
    before.join().unwrap();
    thread::spawn(move || {
        said.send(own()).unwrap();
        write_inside(word(), 2);
    })
    .join()
    .unwrap();
    let (kept, _) = watch.end().unwrap();
    assert_eq!(values(&kept), [(0, 1), (1, 2)]);
    let seen: Vec<i32> = kept.hits.iter().map(|(hit, _)| hit.tid).collect();
    assert_eq!(seen, [before_tid, tids.recv().unwrap()]);
}

#[test]
fn a_watch_ends_when_it_has_enough() {
    let _alone = ALONE.lock();
    let mut word = Box::new(0_u64);
    let few = WatchPlan {
        most: 5,
        ..plan(&word)
    };
    let watch = begin(&few, Kept::default()).unwrap();
    for value in 1..=200_000 {
        write_inside(&mut word, value);
    }
    let (kept, totals) = watch.end().unwrap();
    assert_eq!(values(&kept), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
    assert!(totals.is_full && totals.hits < 200_000, "{totals:?}");
}

#[test]
fn what_linux_writes_is_told_at_the_end() {
    let _alone = ALONE.lock();
    let mut words = Box::new([0_u8; 8]);
    let address = words.as_mut_ptr().cast::<u64>();
    let spots = vec![WatchedSpot {
        address: address.addr(),
        length: 8,
    }];
    let word = 0;
    let watched = WatchPlan {
        spots,
        ..plan(&word)
    };
    let watch = begin(&watched, Kept::default()).unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"12345678").unwrap();
    reader.read_exact(&mut words[..]).unwrap();
    let (kept, totals) = watch.end().unwrap();
    assert!(kept.hits.is_empty());
    assert_eq!(totals.changed_unseen, [0]);
}

#[test]
fn only_one_is_on() {
    let _alone = ALONE.lock();
    let word = 0;
    let watch = begin(&plan(&word), Kept::default()).unwrap();
    let refused = begin(&plan(&word), Kept::default());
    assert!(matches!(refused, Err(WatchRefused::Busy)));
    drop(watch);
    assert!(begin(&plan(&word), Kept::default()).is_ok());
}

#[test]
fn the_first_hit_is_told_at_once() {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let _alone = ALONE.lock();
    let mut word = Box::new(0_u64);
    let told = WatchPlan {
        at_first: Some(|| {
            TOLD.fetch_add(1, Ordering::Relaxed);
        }),
        ..plan(&word)
    };
    let watch = begin(&told, Kept::default()).unwrap();
    assert_eq!(TOLD.load(Ordering::Relaxed), 0);
    write_inside(&mut word, 1);
    assert_eq!(TOLD.load(Ordering::Relaxed), 1);
    write_inside(&mut word, 2);
    drop(watch);
    assert_eq!(TOLD.load(Ordering::Relaxed), 1);
}
