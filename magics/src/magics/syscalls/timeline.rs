//! The sentences of `%%syscalls`, and what it cannot see.

use diaphane_trace::syscalls::SyscallRecording;

use super::events::{Creation, OpenedFile};
use crate::magics::syscalls::snapshot::SeenCall;
use diaphane_report::view::time;

/// What happened.
pub(super) fn summary(
    recording: &SyscallRecording,
    seen: &[SeenCall<'_>],
    opens: &[OpenedFile],
    creations: &[Creation],
) -> Vec<String> {
    let (own, others): (Vec<_>, Vec<_>) = seen.iter().partition(|one| one.maker.is_kernel);
    let calls = counted(recording.calls.len());
    let shown = if seen.len() == recording.calls.len() {
        String::new()
    } else {
        format!(", of which {} were asked for", seen.len())
    };
    let times = format!(
        "{calls} in {}{shown}, {} in Linux",
        time(recording.elapsed_ns as f64),
        taken(&others)
    );
    let kernel = (!own.is_empty()).then(|| {
        format!(
            "{} of them, {} in Linux, made the kernel itself, to show what was printed; they are in no row but those of --list",
            own.len(),
            taken(&own)
        )
    });
    let mut said = vec![times];
    said.extend(kernel);
    said.extend([files(opens), started(recording, seen, creations)]);
    said
}

fn counted(calls: usize) -> String {
    match calls {
        0 => "no system call".to_owned(),
        1 => "1 system call".to_owned(),
        count => format!("{count} system calls"),
    }
}

/// How long calls took, as far as that is known.
fn taken(calls: &[&SeenCall<'_>]) -> String {
    let times: Vec<u64> = calls.iter().filter_map(|one| one.call.took_ns).collect();
    match times.is_empty() && !calls.is_empty() {
        true => "an unknown time".to_owned(),
        false => time(times.iter().sum::<u64>() as f64),
    }
}

fn files(opens: &[OpenedFile]) -> String {
    let failed = opens.iter().filter(|open| open.error.is_some()).count();
    let missing = opens
        .iter()
        .filter(|open| open.error.as_deref() == Some("ENOENT"))
        .count();
    let written = opens
        .iter()
        .filter(|open| open.writes && open.error.is_none())
        .count();
    let opened = match opens.len() - failed {
        0 => "no file was opened".to_owned(),
        1 => "1 file was opened".to_owned(),
        count => format!("{count} files were opened"),
    };
    let mut parts = vec![opened];
    if written > 0 {
        parts.push(format!("{written} of them to write"));
    }
    if missing > 0 {
        parts.push(format!("{missing} not found"));
    }
    if failed > missing {
        parts.push(format!("{} failed otherwise", failed - missing));
    }
    parts.join(", ")
}

fn started(recording: &SyscallRecording, seen: &[SeenCall<'_>], creations: &[Creation]) -> String {
    let say = |kind: &str, many: &str| {
        let own: Vec<&Creation> = creations
            .iter()
            .filter(|creation| creation.kind == kind)
            .collect();
        let count = match own.len() {
            0 => return None,
            1 => format!("1 {kind}"),
            count => format!("{count} {many}"),
        };
        let mut makers: Vec<String> = own
            .iter()
            .filter_map(|creation| {
                let maker = seen.iter().find(|one| one.index == creation.index)?;
                maker.maker.library.clone()
            })
            .collect();
        makers.sort_unstable();
        makers.dedup();
        if makers.is_empty() {
            return Some(count);
        }
        Some(format!("{count} (by {})", makers.join(", ")))
    };
    match (say("process", "processes"), say("thread", "threads")) {
        (None, None) if recording.lost > 0 => {
            "no process and no thread was seen to be started".to_owned()
        }
        (None, None) => "no process and no thread was started".to_owned(),
        (Some(one), None) => format!("started: {one}, and no thread"),
        (None, Some(one)) => format!("started: no process, and {one}"),
        (Some(one), Some(other)) => format!("started: {one}, and {other}"),
    }
}

/// What is not seen.
pub(super) fn limits(recording: &SyscallRecording) -> Vec<String> {
    let mut limits = Vec::new();
    if recording.forked {
        limits.push(
            "this is a child process, which was forked meanwhile: its calls are not seen".into(),
        );
        return limits;
    }
    if recording.lost > 0 {
        limits.push(format!(
            "calls that found no room and are missing: {}",
            recording.lost
        ));
    }
    if recording.left_out > 0 {
        limits.push(format!(
            "threads that could not be followed to their ends: {}",
            recording.left_out
        ));
    }
    if recording.still_running > 0 {
        limits.push(format!(
            "threads that were started and run on, and are not seen from now on: {}",
            recording.still_running
        ));
    }
    let children = recording.calls.iter().any(|call| {
        matches!(
            super::decode::name_of(call).as_str(),
            "fork" | "vfork" | "wait4" | "waitid"
        )
    });
    if children {
        limits.push("what child processes do is not seen".into());
    }
    limits.push(
        "threads that were there before are not seen, and reading a clock is mostly no system call"
            .into(),
    );
    limits
}
