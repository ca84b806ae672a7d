//! Ends what is being compiled: cargo, rustc, the linker. The relay stays.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Ends all descendants of this process but one and its own.
pub fn end_builds(but: u32) {
    let parents = parents();
    let own = getpid().as_raw_nonzero().get();
    for process in parents.keys().copied() {
        if process != but.cast_signed() && descends(process, own, &parents) {
            let process = Pid::from_raw(process);
            // One that has ended meanwhile is what was wanted.
            let _ = process.map(|process| kill_process(process, Signal::KILL));
        }
    }
}

fn descends(mut process: i32, ancestor: i32, parents: &HashMap<i32, i32>) -> bool {
    // The table is not of one moment, so it may have a ring.
    for _ in 0..parents.len() {
        match parents.get(&process) {
            Some(parent) if *parent == ancestor => return true,
            Some(parent) => process = *parent,
            None => return false,
        }
    }
    false
}

/// The parent of each process.
fn parents() -> HashMap<i32, i32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    processes
        .filter_map(|process: i32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // A name may have blanks and brackets.
            let fields = stat.rsplit_once(") ")?.1;
            Some((process, fields.split(' ').nth(1)?.parse().ok()?))
        })
        .collect()
}
