//! `%%threads`: which threads a cell has, how many CPUs they use over time, and what they wait for. A thread of ours looks
//! every 5 ms, so that also those are seen that are gone when the cell ends.

use std::time::{Duration, Instant};

use diaphane_report::{Answer, Area, Diagnosis, Drawing, Ink, Report, Severity, fields, rows};
use diaphane_sight::proc::cpus::Cpus;
use diaphane_sight::threads::creation_records::threads_created;
use diaphane_trace::helper_thread::Helper;
use serde::Serialize;
use serde_json::json;

use super::columns::CELL_COLUMNS;
use super::watch::{SeenThread, Watch};
use crate::error::Error;
use crate::magic::{Context, Magic, Ran, RecordedCode, Recording, User, Way};
use crate::python::threads::thread_names;
use crate::recording::children::{Children, ChildrenSpent};
use crate::recording::queued::QueuesBefore;
use crate::stacks::snapshot::{ProcessSnapshot, ThreadKind};
use diaphane_cpython::{check, support};
use diaphane_report::view::time;

/// How often it is looked.
const STEP: Duration = Duration::from_millis(5);
/// The threads that look, at this process and at its children.
const OUR_OWN: u64 = 2;
/// How many bars the use of CPUs over time has.
const BARS: usize = 60;

#[derive(Serialize)]
struct CellThreadRow<'a> {
    tid: i32,
    name: &'a str,
    kind: ThreadKind,
    pool: Option<&'a str>,
    is_new: bool,
    first_ns: u64,
    last_ns: u64,
    cpu_ns: u64,
    cpu_pct: f64,
    gil_wait_pct: Option<f64>,
}

/// Those who look while the code runs.
struct ThreadsWatch {
    helper: Helper<Watch>,
    children: Children,
    queues: QueuesBefore,
    /// How many threads had been started before.
    created: u64,
    started: Instant,
}

/// Begins to watch.
pub(super) fn begin(context: &Context<'_, '_>) -> Result<Box<dyn Recording>, Error> {
    let user = context.user()?;
    check(user.py);
    // Before anybody looks, so that no look comes before this thread of ours has said that it is ours.
    let created = threads_created();
    let children = context.without_gil(Children::begin);
    let snapshot = context.without_gil(ProcessSnapshot::look)?;
    let names = thread_names(user.py)?;
    let (started, mut watch) = (Instant::now(), Watch::begin(snapshot, names));
    let helper = Helper::begin("diaphane-watch", move |shift| {
        while shift.goes_on(STEP) {
            watch.look();
        }
        watch.look();
        watch
    });
    Ok(Box::new(ThreadsWatch {
        helper,
        children,
        queues: QueuesBefore::look(nix::unistd::gettid().as_raw()),
        created,
        started,
    }))
}

impl Recording for ThreadsWatch {
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        let queued = self.queues.end();
        let Self {
            helper,
            children,
            created,
            ..
        } = *self;
        let (watch, children) = user.py.detach(|| (helper.end(), children.end()));
        let Some(mut watch) = watch else {
            return Err(Error::Usage(
                "%%threads: no thread could be started to look, or this process is a child of the one that was watched".into(),
            ));
        };
        watch.name(&thread_names(user.py)?);
        let created = threads_created().saturating_sub(created + OUR_OWN);
        let report = report(&watch, elapsed, created, (&children, code.way))?;
        Ok(Report {
            lead: queued.sentence(elapsed).into_iter().collect(),
            ..report
        })
    }
}

fn report(
    watch: &Watch,
    elapsed: Duration,
    created: u64,
    (children, way): (&ChildrenSpent, Way),
) -> Result<Report, Error> {
    let cpus = Cpus::read();
    // What was used is known from the first look to the last one.
    let whole = watch.whole().as_nanos().max(1) as f64;
    let mut seen: Vec<&SeenThread> = watch
        .threads()
        .filter(|one| one.is_new || one.cpu_ns > 0)
        .collect();
    seen.sort_by_key(|one| u64::MAX - one.cpu_ns);
    let percent = |share: f64| (share * 1000.0).round() / 10.0;
    let all = seen.iter().map(|one| CellThreadRow {
        tid: one.tid,
        name: &one.name,
        kind: one.kind,
        pool: one.pool.as_deref(),
        is_new: one.is_new,
        first_ns: one.first.as_nanos() as u64,
        last_ns: one.last.as_nanos() as u64,
        cpu_ns: one.cpu_ns,
        cpu_pct: percent(one.cpu_ns as f64 / whole),
        gil_wait_pct: watch.gil_waits(one).map(percent),
    });
    let all = rows(all)?;
    let used: u64 = seen.iter().map(|one| one.cpu_ns).sum();
    let load = watch.load(BARS);
    let unseen = created.saturating_sub(seen.iter().filter(|one| one.is_new).count() as u64);
    let found: Vec<Diagnosis> = watch
        .spins()
        .filter_map(|(pool, idle, runs)| spinning(pool, idle, runs))
        .collect();
    let own = sentences(watch, &seen, used as f64 / whole, (elapsed, way), &cpus);
    Ok(Report {
        name: super::Threads::NAME,
        columns: CELL_COLUMNS,
        rows: all,
        chart: (load.len() > 1).then(|| chart(&load, elapsed, &cpus)),
        answer: Some(Answer {
            sentences: with_children(own, children, used),
            table: None,
        }),
        diagnoses: found,
        summary: vec![format!(
            "looked {} in {}; {}{}",
            counted(watch.looks as u64, "time", ""),
            time(whole),
            counted(created, "thread", " started"),
            match unseen {
                0 => String::new(),
                unseen => format!(", {unseen} of which had ended before a look"),
            }
        )],
        facts: fields(json!({
            "elapsed_ns": elapsed.as_nanos() as u64, "looks": watch.looks, "created": created, "unseen": unseen,
            "most_working": watch.most_working, "mean_working": watch.mean_working(), "most": watch.most,
            "cpus_used": (used as f64 / whole * 100.0).round() / 100.0, "cpu_over_time": load, "cpus": cpus,
            "children": children.count, "children_cpu_ns": children.cpu_ns,
        }))?,
        limits: support().into_iter().collect(),
        ..Report::default()
    })
}

/// What children did beside: first where that was most of the work, since then it is the answer.
fn with_children(own: Vec<String>, children: &ChildrenSpent, used: u64) -> Vec<String> {
    let (own, elsewhere) = (own.into_iter(), elsewhere(children).into_iter());
    match children.cpu_ns > used {
        true => elsewhere.chain(own).collect(),
        false => own.chain(elsewhere).collect(),
    }
}

/// The answer: how many threads, how many CPUs, of whom, and what they waited for.
fn sentences(
    watch: &Watch,
    seen: &[&SeenThread],
    used: f64,
    (elapsed, way): (Duration, Way),
    cpus: &Cpus,
) -> Vec<String> {
    let what = match way {
        Way::Module { .. } => "The cell",
        Way::Block | Way::Process => "It",
    };
    let usable = cpus
        .usable
        .map_or_else(String::new, |usable| format!(" of {usable} usable ones"));
    let plural = if watch.most_working == 1 {
        "thread was"
    } else {
        "threads were"
    };
    let mut said = vec![format!(
        "{what} used {used:.1} CPUs{usable} on average over {}; at most {} {plural} at work at once, {:.1} on average.",
        time(elapsed.as_nanos() as f64),
        watch.most_working,
        watch.mean_working()
    )];
    let mut pools: Vec<(&str, usize, u64)> = Vec::new();
    for one in seen {
        let Some(pool) = one.pool.as_deref() else {
            continue;
        };
        match pools.iter_mut().find(|(name, ..)| *name == pool) {
            Some((_, count, cpu)) => {
                *count += 1;
                *cpu += one.cpu_ns;
            }
            None => pools.push((pool, 1, one.cpu_ns)),
        }
    }
    let pool = |(name, count, cpu): &(&str, usize, u64)| {
        let threads = if *count == 1 { "thread" } else { "threads" };
        format!(
            "{name} ({count} {threads}, {} of CPU time)",
            time(*cpu as f64)
        )
    };
    let pools: Vec<String> = pools.iter().map(pool).collect();
    if !pools.is_empty() {
        said.push(format!("Pools: {}.", pools.join(", ")));
    }
    let waits: usize = seen.iter().map(|one| one.waits).sum();
    if waits * 10 > watch.looks {
        said.push(format!(
            "On average {:.1} threads waited for the GIL.",
            waits as f64 / watch.looks.max(1) as f64
        ));
    }
    said
}

/// So many of something, and what became of them.
fn counted(count: u64, what: &str, done: &str) -> String {
    let (plural, verb) = if count == 1 {
        ("", "was")
    } else {
        ("s", "were")
    };
    match done {
        "" => format!("{count} {what}{plural}"),
        done => format!("{count} {what}{plural} {verb}{done}"),
    }
}

/// What was done by other processes, whose threads are not seen.
fn elsewhere(children: &ChildrenSpent) -> Option<String> {
    (children.cpu_ns > 0).then(|| {
        format!(
            "{} used {} of CPU time beside; %process_tree lists those that still run.",
            children.who(),
            time(children.cpu_ns as f64)
        )
    })
}

/// T003, of a pool that works now and then: what its threads did whenever they were seen to run.
fn spinning(pool: &str, idle: usize, runs: usize) -> Option<Diagnosis> {
    (runs >= 10 && idle * 2 > runs).then(|| Diagnosis {
        code: "T003",
        severity: Severity::Warn,
        title: format!(
            "The threads of {pool} wait by spinning: they use CPUs and compute nothing in {:.0} % of the looks at them.",
            100.0 * idle as f64 / runs as f64
        ),
        evidence: vec![format!("seen running {runs} times, {idle} of them without work")],
        fix: "Use fewer threads for this size (threadpoolctl, OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, n_jobs); \
              OMP_WAIT_POLICY=passive, set before the library is loaded, lets OpenMP's threads sleep."
            .into(),
    })
}

/// The CPUs used, over time.
fn chart(load: &[f64], elapsed: Duration, cpus: &Cpus) -> Drawing {
    const WIDTH: f64 = 600.0;
    const HEIGHT: f64 = 90.0;
    const LEFT: f64 = 52.0;
    let most = load
        .iter()
        .copied()
        .fold(cpus.usable.unwrap_or(1) as f64, f64::max);
    let mut drawing = Drawing::new(LEFT + WIDTH + 10.0, HEIGHT + 24.0, "CPUs used over time");
    let step = WIDTH / load.len() as f64;
    for (place, used) in load.iter().enumerate() {
        let height = HEIGHT * used / most;
        let area = Area {
            x: LEFT + step * place as f64,
            y: HEIGHT - height,
            width: (step - 1.0).max(1.0),
            height,
        };
        drawing.area(area, Ink::Tone(0), 0.8, &format!("{used:.1} CPUs"));
    }
    drawing.line((LEFT, HEIGHT), (LEFT + WIDTH, HEIGHT), Ink::Faint);
    drawing.text_before((LEFT - 4.0, 10.0), &format!("{most:.0} CPUs"), Ink::Faint);
    drawing.text_before((LEFT - 4.0, HEIGHT), "0", Ink::Faint);
    let label = format!("CPUs used over {}", time(elapsed.as_nanos() as f64));
    drawing.text((LEFT, HEIGHT + 16.0), &label, Ink::Faint);
    drawing
}
