//! The report: a table of functions, the flame graph, and how good the samples are.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::children::ChildrenSpent;
use super::findings::{self, Usage};
use super::kinds::CodeKind;
use super::profile::Profile;
use super::{NativeProf, Settings};
use super::{flame, gather};
use crate::error::Error;
use crate::magic::Magic;
use diaphane_cpython::support;
use diaphane_report::view::{svg::svg, time};
use diaphane_report::{Report, fields, rows};

/// No more stacks in the facts.
const MOST_STACKS: usize = 2000;

#[derive(Serialize)]
struct FunctionRow<'a> {
    function: &'a str,
    library: Option<&'a str>,
    kind: &'static str,
    self_pct: f64,
    total_pct: f64,
    samples: u64,
    total_samples: u64,
    threads: usize,
    file: Option<&'a str>,
    line: Option<u32>,
}

/// What the cell took.
pub(super) struct Spent {
    pub elapsed: Duration,
    pub usage: Usage,
    pub children: ChildrenSpent,
}

pub(super) fn usage() -> Usage {
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs())
            + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)
        .map(|usage| Usage {
            user: time(usage.user_time()),
            system: time(usage.system_time()),
            faults: usage.minor_page_faults().unsigned_abs(),
        })
        .unwrap_or_default()
}

impl Usage {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            faults: self.faults.saturating_sub(before.faults),
        }
    }
}

pub(super) fn report(
    settings: &Settings,
    profile: &Profile,
    spent: &Spent,
) -> Result<Report, Error> {
    let drawing = flame::draw(profile);
    let svg = if settings.files.is_empty() {
        String::new()
    } else {
        svg(&drawing)
    };
    for file in &settings.files {
        file.write(NativeProf::NAME, profile, &svg)?;
    }
    let shares = profile.shares();
    let all = shares.iter().map(|(id, share)| {
        let function = profile.function(*id);
        FunctionRow {
            function: &function.name,
            library: function.library.as_deref(),
            kind: function.kind.word(),
            self_pct: profile.percent(share.own),
            total_pct: profile.percent(share.total),
            samples: share.own,
            total_samples: share.total,
            threads: share.threads.len(),
            file: function.file.as_deref(),
            line: function.line,
        }
    });
    Ok(Report {
        name: NativeProf::NAME,
        columns: super::columns::COLUMNS,
        rows: rows(all)?,
        chart: (profile.samples > 0).then_some(drawing),
        summary: summary(settings, profile, spent),
        diagnoses: findings::findings(profile, spent.usage)
            .into_iter()
            .chain(spent.children.finding(spent.usage))
            .collect(),
        facts: fields(facts(settings, profile, spent))?,
        limits: limits(profile),
        ..Report::default()
    })
}

/// How many samples wait for the GIL.
fn gil_waits(profile: &Profile) -> u64 {
    let kinds = profile.kinds().into_iter();
    kinds
        .filter(|(kind, _)| *kind == CodeKind::GilWait)
        .map(|(_, count)| count)
        .sum()
}

fn facts(settings: &Settings, profile: &Profile, spent: &Spent) -> Value {
    let stack = |(path, count): &(gather::Path, u64)| {
        let frames: Vec<String> = path.calls.iter().map(|id| profile.label(*id)).collect();
        json!({"tid": path.tid, "thread": profile.threads.get(&path.tid), "frames": frames, "count": count})
    };
    let stacks: Vec<Value> = profile.paths.iter().take(MOST_STACKS).map(stack).collect();
    let kinds: serde_json::Map<String, Value> = profile
        .kinds()
        .into_iter()
        .map(|(kind, count)| (kind.word().to_owned(), count.into()))
        .collect();
    let files: Vec<String> = settings
        .files
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    json!({
        "hz": settings.hz,
        "clock": settings.clock,
        "samples": profile.samples,
        "lost": profile.totals.lost,
        "late": profile.totals.late,
        "unwind_truncated_pct": profile.percent(profile.truncated),
        "joined_pct": profile.percent(profile.joined),
        "gil_wait_pct": profile.percent(gil_waits(profile)),
        "python_unplaced_pct": profile.percent(profile.unplaced),
        "elapsed_ns": u64::try_from(spent.elapsed.as_nanos()).ok(),
        "sampler_cpu_ns": profile.totals.cpu_ns,
        "children": spent.children.count,
        "children_cpu_ns": spent.children.cpu_ns,
        "kinds": kinds,
        "stacks": stacks,
        "files": files,
    })
}

fn summary(settings: &Settings, profile: &Profile, spent: &Spent) -> Vec<String> {
    let kinds: Vec<String> = profile
        .kinds()
        .into_iter()
        .map(|(kind, count)| format!("{} {} %", kind.word(), profile.percent(count)))
        .collect();
    let threads = match profile.threads.len() {
        1 => "1 thread".to_owned(),
        many => format!("{many} threads"),
    };
    let figures = format!(
        "{} samples of {threads} at {} Hz in {}; lost {}, cut short {} %, joined across code without unwind \
         information {} %, waiting for the GIL {} %; sampling took {} of another CPU",
        profile.samples,
        settings.hz,
        time(spent.elapsed.as_nanos() as f64),
        profile.totals.lost,
        profile.percent(profile.truncated),
        profile.percent(profile.joined),
        profile.percent(gil_waits(profile)),
        time(profile.totals.cpu_ns as f64),
    );
    let shares = (!kinds.is_empty()).then(|| format!("by kind of code: {}", kinds.join(", ")));
    let written = settings
        .files
        .iter()
        .map(|file| format!("written: {}", file.path.display()));
    shares.into_iter().chain([figures]).chain(written).collect()
}

fn limits(profile: &Profile) -> Vec<String> {
    let mut limits = Vec::from_iter(support());
    if profile.samples == 0 {
        limits.push(
            "the cell ended before the first sample; a loop around it, or --hz, gives more".into(),
        );
    }
    let hidden = &profile.totals.unreachable;
    if !hidden.is_empty() {
        let tids: Vec<String> = hidden.iter().map(i32::to_string).collect();
        limits.push(format!(
            "threads that block signals are not seen: {}",
            tids.join(", ")
        ));
    }
    if profile.totals.ended > 0 {
        limits.push(format!(
            "{} system calls that Linux does not begin again ended early (EINTR): their threads fell asleep between a look \
             at them and its signal",
            profile.totals.ended
        ));
    }
    if profile.totals.late > profile.samples / 10 {
        limits.push(format!(
            "{} times a thread was due while it had no CPU; the next look stands for those too",
            profile.totals.late
        ));
    }
    limits
}
