//! This process and those that it started, as the kernel's files tell: what they run and what memory they have alone.

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

/// What a child is to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This process itself.
    Own,
    /// A copy: it runs the same program with the same arguments.
    Fork,
    /// Another program, or the same one started anew.
    Program,
    /// It has ended, and nobody has asked how.
    Zombie,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// The kernel's number.
    pub pid: i32,
    /// Who started it.
    pub parent: i32,
    /// How far below this process it stands.
    pub depth: usize,
    /// The kernel's name, of at most 15 bytes.
    pub name: String,
    /// What it is to this process.
    pub kind: Kind,
    /// Its arguments, the first one being the program.
    pub command: Vec<String>,
    /// `R` running, `S` sleeping, and so on.
    pub state: char,
    /// How many threads it has.
    pub threads: u32,
    /// When it was started, in clock ticks since the system was.
    pub started: u64,
    /// The time that it has spent on CPUs, in clock ticks.
    pub cpu_ticks: u64,
    /// In physical memory, in bytes; `None` where the kernel does not tell us.
    pub rss: Option<u64>,
    /// The same, where each page counts for its part if several processes share it.
    pub pss: Option<u64>,
    /// Pages that no other process has.
    pub private: Option<u64>,
    /// Pages that others have too.
    pub shared: Option<u64>,
}

/// What `stat` tells.
struct Stat {
    name: String,
    state: char,
    parent: i32,
    threads: u32,
    started: u64,
    cpu_ticks: u64,
}

/// This process and all below it, parents before children.
#[must_use]
pub fn family() -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<i32>().ok());
    let stats: HashMap<i32, Stat> = pids.filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (&pid, stat) in &stats {
        children.entry(stat.parent).or_default().push(pid);
    }
    for siblings in children.values_mut() {
        siblings.sort_unstable_by_key(|pid| stats[pid].started);
        siblings.reverse();
    }
    let mut found = Vec::new();
    let mut next = vec![(own, 0)];
    while let Some((pid, depth)) = next.pop() {
        if let Some(stat) = stats.get(&pid) {
            found.push(process(pid, own, depth, stat));
            let below = children.get(&pid).into_iter().flatten();
            next.extend(below.map(|&child| (child, depth + 1)));
        }
    }
    found
}

fn process(pid: i32, own: i32, depth: usize, stat: &Stat) -> Process {
    let program = |pid| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let command = command(pid);
    let is_copy = || program(pid).is_some() && program(pid) == program(own);
    let kind = match stat.state {
        _ if pid == own => Kind::Own,
        'Z' | 'X' => Kind::Zombie,
        _ if is_copy() && command == self::command(own) => Kind::Fork,
        _ => Kind::Program,
    };
    let memory = memory(pid);
    let of = |key: &str| memory.get(key).copied();
    let both = |one: &str, other: &str| Some(of(one)? + of(other)?);
    Process {
        pid,
        parent: stat.parent,
        depth,
        name: stat.name.clone(),
        kind,
        command,
        state: stat.state,
        threads: stat.threads,
        started: stat.started,
        cpu_ticks: stat.cpu_ticks,
        rss: of("Rss"),
        pss: of("Pss"),
        private: both("Private_Clean", "Private_Dirty"),
        shared: both("Shared_Clean", "Shared_Dirty"),
    }
}

/// The fields of `stat`, whose second one may hold anything between its parentheses.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Option<Stat> {
    let (head, rest) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of these is the third of the line, which counts from one.
    let field = |number: usize| fields.get(number - 3).copied();
    let ticks = |number| field(number)?.parse::<u64>().ok();
    Some(Stat {
        name: name.to_owned(),
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        started: ticks(22)?,
        cpu_ticks: ticks(14)? + ticks(15)?,
    })
}

fn command(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// Sums over all regions, in bytes.
fn memory(pid: i32) -> HashMap<String, u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        let kilobytes: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some((key.to_owned(), kilobytes * 1024))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_with_its_program() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let own = std::process::id().cast_signed();
        // Between fork and exec it is still ours.
        let found = (0..100_000).find_map(|_| {
            let family = family();
            let found = family.iter().find(|one| one.command == ["cat"])?;
            Some((family[0].clone(), found.clone()))
        });
        let (first, found) = found.unwrap();
        assert_eq!((first.pid, first.kind, first.depth), (own, Kind::Own, 0));
        assert_eq!(found.pid, child.id().cast_signed());
        assert_eq!(
            (found.parent, found.depth, found.kind),
            (own, 1, Kind::Program)
        );
        assert_eq!(found.threads, 1);
        let (rss, parts) = (
            found.rss.unwrap(),
            found.private.unwrap() + found.shared.unwrap(),
        );
        assert!(rss > 0 && parts == rss);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(family().iter().all(|one| one.pid != found.pid));
    }

    #[test]
    fn a_name_may_hold_anything() {
        let rest = " S 7 1 1 0 -1 0 0 0 0 0 3 4 0 0 20 0 2 0 99 0 0";
        let stat = parse(&format!("12 (a) b (c){rest}")).unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent),
            ("a) b (c", 'S', 7)
        );
        assert_eq!((stat.threads, stat.started, stat.cpu_ticks), (2, 99, 7));
        assert!(parse("12 (x").is_none());
    }
}
