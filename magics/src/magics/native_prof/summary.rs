//! The report: a table of functions, the flame graph, and how good the samples are.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::NativeProf;
use super::answer::{self, LineRow};
use super::children;
use super::diagnoses::{self, Usage};
use super::kinds::CodeKind;
use super::profile::{Profile, counted};
use super::sampled::SampledFunction;
use super::samples::Settings;
use super::slow_lines::{self, SlowCause};
use super::source::{self, cell_number};
use super::{flame, sampled};
use crate::error::Error;
use crate::libraries::names::file_name;
use crate::magic::{Magic, User, Way};
use crate::recording::children::ChildrenSpent;
use crate::recording::queued::Queued;
use crate::stacks::authors::Author;
use diaphane_cpython::support;
use diaphane_report::view::{svg::svg, time};
use diaphane_report::{Diagnosis, Report, fields, rows};
use diaphane_sight::proc::resource_usage::{ResourceUsage, peak_rss};
use diaphane_sight::proc::tasks;
use diaphane_trace::sampler::Unreachable;

/// No more stacks in the facts.
const MOST_STACKS: usize = 2000;

#[derive(Serialize)]
struct FunctionRow<'a> {
    function: &'a str,
    place: Option<String>,
    library: Option<&'a str>,
    kind: &'static str,
    self_pct: Option<f64>,
    total_pct: Option<f64>,
    samples: u64,
    total_samples: u64,
    threads: usize,
    file: Option<&'a str>,
    line: Option<u32>,
    symbol: Option<&'a str>,
}

/// What was profiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profiled {
    /// Code that the recording was begun for.
    Code(Way),
    /// The rest of a cell, from a moment in its midst.
    Rest,
}

/// What the cell took.
pub(super) struct Spent {
    pub elapsed: Duration,
    pub queued: Queued,
    pub usage: Usage,
    pub children: ChildrenSpent,
    /// How often the cell ran, and whether that ended with an error.
    pub runs: u64,
    pub failed: bool,
}

impl Spent {
    /// What one run takes by itself. Of one that failed nobody knows: IPython writes the traceback before it returns.
    fn plain(&self, profile: &Profile) -> Option<Duration> {
        let own = Duration::from_nanos(profile.totals.handler_ns);
        let runs = u32::try_from(self.runs.max(1)).unwrap_or(u32::MAX);
        (!self.failed).then(|| self.elapsed.saturating_sub(own) / runs)
    }
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
            resident: ResourceUsage::now().rss,
            peak: peak_rss().unwrap_or(0),
        })
        .unwrap_or_default()
}

pub(super) fn report(
    settings: &Settings,
    profile: &Profile,
    spent: &Spent,
    (user, file, what): (Option<User<'_, '_>>, &str, Profiled),
) -> Result<Report, Error> {
    let drawing = flame::draw(profile);
    let sources = source::lines(user, file, &profile.spots);
    let causes = slow_lines::causes(profile, &sources);
    let lines = answer::line_rows(profile, &sources, &causes);
    let diagnoses = in_order(profile, spent, causes, settings.children);
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
            place: place(user, file, function),
            library: function.library.as_deref(),
            kind: function.kind.word(),
            self_pct: profile.share(share.own),
            total_pct: profile.share(share.total),
            samples: share.own,
            total_samples: share.total,
            threads: share.threads.len(),
            file: function.file.as_deref(),
            line: function.line,
            symbol: function.symbol.as_deref(),
        }
    });
    Ok(Report {
        name: NativeProf::NAME,
        columns: super::columns::COLUMNS,
        rows: rows(all)?,
        chart: (profile.samples >= diagnoses::ENOUGH).then_some(drawing),
        plain: spent.plain(profile).filter(|_| what != Profiled::Rest),
        lead: spent.queued.sentence(spent.elapsed).into_iter().collect(),
        summary: summary(settings, profile, spent),
        wanted: match profile.samples >= diagnoses::ENOUGH {
            true => &[],
            false => &["samples"],
        },
        answer: Some(answer::answer(profile, (spent, what), &lines, &diagnoses)?),
        diagnoses,
        facts: fields(facts(settings, profile, spent, &lines))?,
        limits: limits(settings, profile, what),
        ..Report::default()
    })
}

/// What is remarkable: what says most about the most samples comes first.
fn in_order(
    profile: &Profile,
    spent: &Spent,
    causes: Vec<SlowCause>,
    with_children: bool,
) -> Vec<Diagnosis> {
    let mut all = diagnoses::findings(profile, spent.usage);
    // Threads that spin are looked at first: their samples are of no line of the cell.
    let rest = all.split_off(all.iter().take_while(|one| one.code == "P002").count());
    all.extend(causes.into_iter().map(|cause| cause.diagnosis));
    // Where they record too, their reports say what they did, and who has none.
    all.extend(children::finding(&spent.children, spent.usage).filter(|_| !with_children));
    all.extend(rest);
    all
}

/// Where a Python function stands, as `In[3]:4` or `module.py:4`; the line with `--lines` only.
fn place(user: Option<User<'_, '_>>, own: &str, function: &SampledFunction) -> Option<String> {
    let file = function.file.as_deref()?;
    let cell = if file == own || Author::of(file) == Author::Cell {
        cell_number(user, file)
    } else {
        None
    };
    let home = cell.map_or_else(|| file_name(file).to_owned(), |cell| format!("In[{cell}]"));
    Some(match function.line {
        Some(line) => format!("{home}:{line}"),
        None => home,
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

fn facts(settings: &Settings, profile: &Profile, spent: &Spent, lines: &[LineRow]) -> Value {
    let stack = |(path, count): &(sampled::Path, u64)| {
        let frames: Vec<String> = path.calls.iter().map(|id| profile.label(*id)).collect();
        json!({"tid": path.tid, "thread": profile.threads.get(&path.tid), "frames": frames, "count": count})
    };
    let some = || profile.paths.iter().take(MOST_STACKS);
    let stacks: Vec<Value> = some().map(stack).collect();
    let ids: BTreeSet<_> = some().flat_map(|(path, _)| path.calls.iter()).collect();
    let labels: serde_json::Map<String, Value> = ids
        .into_iter()
        .map(|id| (profile.label(*id), profile.function(*id).kind.word().into()))
        .collect();
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
        "around": profile.around,
        "display": profile.display,
        "unread": profile.unread,
        "runs": spent.runs,
        "cell_lines": lines,
        "lost": profile.totals.lost,
        "late": profile.totals.late,
        "unwind_truncated_pct": profile.share(profile.truncated),
        "joined_pct": profile.share(profile.joined),
        "gil_wait_pct": profile.share(gil_waits(profile)),
        "python_unplaced_pct": profile.share(profile.unplaced),
        "elapsed_ns": u64::try_from(spent.elapsed.as_nanos()).ok(),
        "queued_ns": u64::try_from(spent.queued.main.as_nanos()).ok(),
        "sampler_cpu_ns": profile.totals.cpu_ns,
        "children": spent.children.count,
        "children_cpu_ns": spent.children.cpu_ns,
        "kinds": kinds,
        "stacks": stacks,
        "labels": labels,
        "files": files,
    })
}

fn summary(settings: &Settings, profile: &Profile, spent: &Spent) -> Vec<String> {
    let kinds: Vec<String> = profile
        .kinds()
        .into_iter()
        .map(|(kind, count)| format!("{} {}", kind.word(), profile.part(count)))
        .collect();
    let threads = match profile.threads.len() {
        1 => "1 thread".to_owned(),
        many => format!("{many} threads"),
    };
    let shares = [
        ("cut short", profile.truncated),
        (
            "joined across code without unwind information",
            profile.joined,
        ),
        ("waiting for the GIL", gil_waits(profile)),
    ];
    let shares = shares.map(|(what, count)| match profile.share(count) {
        Some(share) => format!(", {what} {share} %"),
        None => String::new(),
    });
    let figures = format!(
        "{} of {threads} at {} Hz in {}; lost {}{}; sampling took {} of another CPU",
        counted(profile.samples),
        settings.hz,
        time(spent.elapsed.as_nanos() as f64),
        profile.totals.lost,
        shares.concat(),
        time(profile.totals.cpu_ns as f64),
    );
    let left_out = [
        (profile.around, "of IPython and the kernel around it"),
        (profile.display, "of the display of its value"),
        (profile.unread, "whose Python functions could not be read"),
    ];
    let left_out = left_out.iter().filter(|(count, _)| *count > 0);
    let left_out: Vec<String> = left_out
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let outside = (!left_out.is_empty())
        .then(|| format!("samples in none of the shares: {}", left_out.join(", ")));
    let shares = (!kinds.is_empty()).then(|| format!("by kind of code: {}", kinds.join(", ")));
    let written = settings
        .files
        .iter()
        .map(|file| format!("written: {}", file.path.display()));
    let said = shares.into_iter().chain([figures]).chain(outside);
    said.chain(written).collect()
}

fn limits(settings: &Settings, profile: &Profile, what: Profiled) -> Vec<String> {
    let mut limits = Vec::from_iter(support());
    if settings.repeat && what == Profiled::Code(Way::Block) {
        limits.push(
            "repeat: what a program records runs once; only a cell or a statement is run again"
                .into(),
        );
    }
    let hidden = &profile.totals.unreachable;
    if !hidden.is_empty() {
        let named = |hidden: &Unreachable| {
            let name = tasks::name(hidden.tid).unwrap_or_else(|| "one that has ended".to_owned());
            let used = time(hidden.cpu_ns as f64);
            format!("{name} ({}, {used} of CPU time)", hidden.tid)
        };
        let named: Vec<String> = hidden.iter().map(named).collect();
        limits.push(format!(
            "not seen, since they block signals: the threads {}",
            named.join(", ")
        ));
    }
    if profile.shortened > 0 {
        limits.push(format!(
            "the stacks of {} are kept as their outermost function and innermost line: there were more different ones than \
             are told apart",
            counted(profile.shortened)
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
            "{} times a thread was to be looked at while it waited for a CPU; its next sample counts for those too",
            profile.totals.late
        ));
    }
    limits
}
