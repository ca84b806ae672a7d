//! What is remarkable about the threads.

use diaphane_sight::runtimes::pool_libraries::Api;
use diaphane_sight::threads::Thread;

use super::deadlock::Suspects;
use super::sample::Sample;
use crate::stacks::live_pools::Pool;
use crate::stacks::snapshot::ProcessSnapshot;
use diaphane_report::{Diagnosis, Severity};

/// Everything that is sure of a snapshot, and of what was watched.
pub(super) fn findings(sample: Option<&Sample>, suspects: &Suspects<'_>) -> Vec<Diagnosis> {
    let snapshot = suspects.snapshot;
    let mut found: Vec<Diagnosis> = Vec::new();
    found.extend(
        snapshot
            .pools
            .iter()
            .filter_map(|pool| oversubscribed(pool, snapshot)),
    );
    let pools = snapshot.pools.iter();
    found.extend(pools.filter_map(|pool| spinning(pool, snapshot, sample?)));
    found.extend(snapshot.pools.iter().filter_map(fork_hazard));
    found.extend(sample.and_then(|sample| gil_wait(snapshot, sample)));
    found.extend(few_tasks_left(snapshot));
    found.extend(suspects.deadlock());
    found
}

/// A pool computes with its threads and the one that calls it; more of them than CPUs wait for each other.
fn oversubscribed(pool: &Pool, snapshot: &ProcessSnapshot) -> Option<Diagnosis> {
    let cpus = &snapshot.cpus;
    let size = pool.computes_with();
    let usable = cpus.usable.filter(|&usable| size > usable)?;
    let library = pool.path.clone().unwrap_or_else(|| pool.library.clone());
    let fix = format!(
        "Set {}={usable} before it is loaded, or use threadpoolctl.threadpool_limits({usable}).",
        pool.variable
    );
    // The size is the one that the library finds where nobody sets another and the quota is not looked at.
    let seen_by_it = [cpus.online, cpus.affinity].into_iter().flatten().min();
    let quota = cpus.quota.filter(|quota| quota.ceil() as usize <= usable);
    match (quota, seen_by_it) {
        (Some(quota), Some(seen)) if size == seen => Some(Diagnosis {
            code: "T002",
            severity: Severity::Warn,
            title: format!(
                "{} took its {size} threads from the {seen} CPUs of the machine, and not from the quota of {quota:.1} CPUs.",
                pool.title()
            ),
            evidence: vec![
                library,
                format!("cgroup quota {quota:.2}, usable CPUs {usable}"),
            ],
            fix,
        }),
        _ => Some(Diagnosis {
            code: "T001",
            severity: Severity::Warn,
            title: format!(
                "{} computes with {size} threads on {usable} usable CPUs.",
                pool.title()
            ),
            evidence: vec![
                library,
                match (pool.live, pool.callers) {
                    (0, _) => {
                        "its size is what the library says; none of its threads was started yet"
                            .to_owned()
                    }
                    (live, 1) => format!("{live} pool threads and the caller"),
                    (live, callers) => {
                        format!("{live} pool threads and the {callers} threads that started them")
                    }
                },
            ],
            fix,
        }),
    }
}

/// Threads of a pool that keep CPUs busy while nobody gives them work.
fn spinning(pool: &Pool, snapshot: &ProcessSnapshot, sample: &Sample) -> Option<Diagnosis> {
    let idle = sample.idle_runs(pool)?;
    let mut evidence = vec![format!("seen {idle} times, and never with work")];
    let own = snapshot.threads.iter().filter(|thread| pool.owns(thread));
    evidence.extend(own.map(|thread| {
        let percent = sample.cpu_percent(thread.tid).unwrap_or(0.0);
        format!("thread {}: {percent:.0} % of a CPU", thread.tid)
    }));
    Some(Diagnosis {
        code: "T003",
        severity: Severity::Warn,
        title: format!("The threads of {} keep CPUs busy while nobody computes with it.", pool.title()),
        evidence,
        fix: match pool.api {
            Api::OpenMp => "Set OMP_WAIT_POLICY=passive before it is loaded, so that they sleep between their work.".into(),
            Api::Blas => "Set OPENBLAS_THREAD_TIMEOUT to a small number before it is loaded, so that they sleep sooner.".into(),
        },
    })
}

/// libgomp does not start its threads anew after a fork; the others that are known do.
fn fork_hazard(pool: &Pool) -> Option<Diagnosis> {
    (pool.runtime == "GNU OpenMP" && pool.live > 0).then(|| Diagnosis {
        code: "T004",
        severity: Severity::Info,
        title: format!(
            "{} has started its threads: a forked child that computes with it will hang.",
            pool.title()
        ),
        evidence: vec![
            pool.path.clone().unwrap_or_else(|| pool.library.clone()),
            format!("{} pool threads, which fork does not copy", pool.live),
        ],
        fix:
            "Start processes by multiprocessing's methods spawn or forkserver, or by joblib's loky."
                .into(),
    })
}

/// The thread that waits most, if it waits more than it works.
fn gil_wait(snapshot: &ProcessSnapshot, sample: &Sample) -> Option<Diagnosis> {
    const MUCH: f64 = 0.5;
    let waits = |thread: &&Thread| sample.gil_wait(thread.tid);
    let most = snapshot
        .threads
        .iter()
        .max_by(|left, right| waits(left).total_cmp(&waits(right)))?;
    let share = waits(&most);
    (share > MUCH).then_some(())?;
    let mut evidence = vec![format!(
        "{} of {} looks",
        (share * sample.looks as f64).round(),
        sample.looks
    )];
    if let Some((tid, function, count)) = sample.usual_holder(most.tid) {
        evidence.push(format!(
            "thread {tid} held it in {function} at {count} of them"
        ));
    }
    Some(Diagnosis {
        code: "T005",
        severity: Severity::Warn,
        title: format!("Thread {} waits for the GIL {:.0} % of the time.", most.tid, share * 100.0),
        evidence,
        fix: "Run pure Python work in processes; functions that release the GIL, as most of NumPy's do, run side by side.".into(),
    })
}

/// Starting a thread fails at the limit.
fn few_tasks_left(snapshot: &ProcessSnapshot) -> Option<Diagnosis> {
    let limit = snapshot.tasks.as_ref()?;
    let near = limit.now.saturating_mul(10) >= limit.most.saturating_mul(8);
    near.then(|| Diagnosis {
        code: "T006",
        severity: Severity::Warn,
        title: format!(
            "{} of the {} threads and processes that are allowed here exist already.",
            limit.now, limit.most
        ),
        evidence: vec![limit.source.clone()],
        fix: "Make the pools smaller (OPENBLAS_NUM_THREADS, OMP_NUM_THREADS), or have the limit raised.".into(),
    })
}
