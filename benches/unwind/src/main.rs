//! Unwinds copied stacks of a stopped process by the kernel's own unwinder and by framehop, and compares both with the
//! backtraces that gdb made at the same stops. `benches/unwind.py` makes the copies and shows what this prints.

mod peer;
mod rows;
mod stops;
mod verdict;

use std::time::Instant;

use diaphane_sight::linker::libraries::loaded_by;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::unwind::{Found, Snapshot, Unwinder};
use diaphane_sight::proc::target_process::TargetProcess;
use serde_json::{Value, json};

use crate::peer::Peer;
use crate::stops::Stop;
use crate::verdict::{Sum, Walk};

/// How often all stacks are unwound for a time; the least counts.
const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid: i32 = arguments.next().ok_or("which process?")?.parse()?;
    let folder = arguments.next().ok_or("which folder?")?;
    let subject = TargetProcess::process(pid);
    let maps = Maps::of(subject)?;
    let libraries = loaded_by(subject, &maps);
    let all = stops::read(&folder)?;
    let cut = all.iter().filter(|stop| stop.is_cut).count();
    let stops: Vec<Stop> = all.into_iter().filter(Stop::is_witnessed).collect();
    let frames: usize = stops.iter().map(|stop| stop.codes.len()).sum();
    let mut ways = Vec::new();
    for (registers, name) in [(true, "all registers"), (false, "two registers")] {
        let copies: Vec<Snapshot> = stops.iter().map(|stop| stop.copy(registers)).collect();
        ways.push(own(name, &stops, &copies, || Unwinder::new(&libraries)));
        ways.push(peers(name, &stops, &copies, &Peer::new(&libraries)));
    }
    let result = json!({
        "stacks": stops.len(), "cut": cut, "frames": frames, "ways": ways, "rows": rows::count(&libraries),
    });
    println!("{result}");
    Ok(())
}

/// The kernel's own.
fn own(name: &str, stops: &[Stop], copies: &[Snapshot], new: impl Fn() -> Unwinder) -> Value {
    let begin = Instant::now();
    let mut unwinder = new();
    let walks: Vec<Walk> = copies
        .iter()
        .map(|copy| {
            let stack = unwinder.unwind(copy.clone());
            let guess = stack
                .frames
                .iter()
                .position(|frame| frame.found == Found::Guess);
            Walk {
                codes: stack.frames.iter().map(|frame| frame.address).collect(),
                complete: stack.complete,
                searched: stack.searched,
                exact: guess.unwrap_or(stack.frames.len()),
            }
        })
        .collect();
    let first = begin.elapsed();
    let warm = least(&walks, copies, |copies| {
        let begin = Instant::now();
        for copy in copies {
            std::hint::black_box(unwinder.unwind(copy));
        }
        begin.elapsed().as_nanos()
    });
    let cold = least(&walks, copies, |copies| {
        let mut time = 0;
        for copy in copies {
            let mut unwinder = new();
            let begin = Instant::now();
            std::hint::black_box(unwinder.unwind(copy));
            time += begin.elapsed().as_nanos();
        }
        time
    });
    let sum = Sum::of(stops, &walks);
    sum.show(&format!("own, {name}"), first, cold, warm)
}

/// Framehop's.
fn peers(name: &str, stops: &[Stop], copies: &[Snapshot], peer: &Peer) -> Value {
    let begin = Instant::now();
    let mut cache = Peer::cache();
    let walks: Vec<Walk> = copies
        .iter()
        .map(|copy| peer.walk(copy, &mut cache))
        .collect();
    let first = begin.elapsed();
    let warm = least(&walks, copies, |copies| {
        let begin = Instant::now();
        for copy in &copies {
            std::hint::black_box(peer.walk(copy, &mut cache));
        }
        begin.elapsed().as_nanos()
    });
    let cold = least(&walks, copies, |copies| {
        let mut time = 0;
        for copy in &copies {
            let mut cache = Peer::cache();
            let begin = Instant::now();
            std::hint::black_box(peer.walk(copy, &mut cache));
            time += begin.elapsed().as_nanos();
        }
        time
    });
    let sum = Sum::of(stops, &walks);
    sum.show(&format!("framehop, {name}"), first, cold, warm)
}

/// Nanoseconds a frame, in the best round.
fn least(walks: &[Walk], copies: &[Snapshot], mut run: impl FnMut(Vec<Snapshot>) -> u128) -> u64 {
    let frames: usize = walks.iter().map(|walk| walk.codes.len()).sum();
    let times = (0..ROUNDS).map(|_| run(copies.to_vec()));
    let best = times.min().unwrap_or(0);
    u64::try_from(best).unwrap_or(u64::MAX) / frames.max(1) as u64
}
