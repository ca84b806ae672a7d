//! What is remarkable about where the time went.

use std::time::Duration;

use diaphane_trace::sampler::Doing;

use super::kinds::CodeKind;
use super::marks::StackMarks;
use super::profile::Profile;
use super::sampled::{Id, NAMELESS, Path, SampledFunction};
use diaphane_report::{Diagnosis, Severity};

/// Below so many samples, shares say nothing.
pub(crate) const ENOUGH: u64 = 50;
/// How many of the innermost functions are looked at for what a leaf belongs to.
const NEAR: usize = 12;

/// What the system counted while the cell ran.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub user: Duration,
    pub system: Duration,
    pub faults: u64,
    /// Bytes in physical memory at that moment, and the most that there ever were.
    pub resident: Option<u64>,
    pub peak: u64,
}

impl Usage {
    /// What came between two moments; the memory is that of the first one, and the most is that of the second.
    pub fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            faults: self.faults.saturating_sub(before.faults),
            resident: before.resident,
            peak: self.peak,
        }
    }

    /// Whether more pages were fetched than there can have been at once, so that many of them were given back in between.
    fn fetches_again(self) -> bool {
        let fetched = self.faults * rustix::param::page_size() as u64;
        let resident = self.resident.unwrap_or_default();
        fetched > 2 * self.peak.saturating_sub(resident)
    }
}

/// Everything that is remarkable.
pub(crate) fn findings(profile: &Profile, usage: Usage) -> Vec<Diagnosis> {
    if profile.samples < ENOUGH {
        return Vec::new();
    }
    let all = [
        memory(profile, usage),
        spin(profile),
        gil(profile),
        copy(profile),
    ];
    all.into_iter().flatten().collect()
}

fn percent(part: f64, whole: f64) -> f64 {
    (part * 1000.0 / whole.max(f64::MIN_POSITIVE)).round() / 10.0
}

/// P001: memory is taken and given back all the time.
fn memory(profile: &Profile, usage: Usage) -> Option<Diagnosis> {
    let own = near(profile, is_malloc, |kind| kind == CodeKind::Libc);
    let share = profile.percent(own);
    let cpu = (usage.user + usage.system).as_secs_f64();
    let system = percent(usage.system.as_secs_f64(), cpu);
    // A fault takes about a microsecond with the page that it clears; where they cannot be most of it, something else is.
    let by_faults = usage.faults as f64 * 1e-6 > 0.25 * usage.system.as_secs_f64();
    let kernel = system > 30.0 && by_faults && usage.fetches_again();
    if share <= 30.0 && !kernel {
        return None;
    }
    let title = if share > 30.0 {
        format!("{share} % of the samples are in malloc and free.")
    } else {
        format!(
            "{system} % of the CPU time is spent in Linux, with {} page faults: memory is fetched and given back again and again.",
            usage.faults
        )
    };
    Some(Diagnosis {
        code: "P001",
        severity: Severity::Warn,
        title,
        evidence: vec![
            format!("{own} of {} samples are in malloc's functions", profile.samples),
            format!(
                "the process used {:.2} s of CPU, {:.2} s of it in Linux, and had {} page faults",
                cpu,
                usage.system.as_secs_f64(),
                usage.faults
            ),
        ],
        fix: "Keep arrays and write into them: out=, np.add(a, b, out=a), a buffer that lives across the loop."
            .into(),
    })
}

/// P002: threads wait by spinning.
fn spin(profile: &Profile) -> Option<Diagnosis> {
    // What such a function calls is work: only its own instructions wait.
    let own = profile.count(|path| {
        let innermost = path.calls.last().map(|id| profile.function(*id));
        path.doing == Doing::Running && innermost.is_some_and(spins)
    });
    let share = profile.percent(own);
    (share > 30.0).then(|| Diagnosis {
        code: "P002",
        severity: Severity::Warn,
        title: format!("{share} % of the samples wait by spinning: they use a CPU and compute nothing."),
        evidence: top(profile, spins),
        fix: "Use fewer threads for this size: OPENBLAS_NUM_THREADS, OMP_NUM_THREADS or threadpoolctl; OMP_WAIT_POLICY=passive lets OpenMP's threads sleep."
            .into(),
    })
}

/// P003: threads wait for the GIL.
fn gil(profile: &Profile) -> Option<Diagnosis> {
    let waits = profile.count(|path| last(profile, path) == Some(CodeKind::GilWait));
    let share = profile.percent(waits);
    (share > 20.0).then(|| {
        let mut evidence: Vec<String> = profile
            .threads
            .keys()
            .filter_map(|tid| {
                let own = profile.count(|path| {
                    path.tid == *tid && last(profile, path) == Some(CodeKind::GilWait)
                });
                let all = profile.count(|path| path.tid == *tid);
                let text = format!("{} waited in {own} of its {all} samples", profile.thread(*tid));
                (own > 0).then_some(text)
            })
            .collect();
        evidence.truncate(8);
        Diagnosis {
            code: "P003",
            severity: Severity::Warn,
            title: format!("{share} % of the samples wait for the GIL."),
            evidence,
            fix: "Threads that compute in Python take turns: use processes, or functions that release the GIL."
                .into(),
        }
    })
}

/// P004: data are copied or converted.
fn copy(profile: &Profile) -> Option<Diagnosis> {
    let own = near(profile, is_copy, |kind| kind != CodeKind::Python);
    let share = profile.percent(own);
    // What puts arrays or tables together copies them anyhow; where that grows something, P010 says so.
    let joins = profile.count(|path| path.marks.has(StackMarks::CONCATENATES));
    (share > 30.0 && joins * 2 < own).then(|| Diagnosis {
        code: "P004",
        severity: Severity::Warn,
        title: format!("{share} % of the samples copy or convert data."),
        evidence: top(profile, |function| is_copy(&function.name)),
        fix: "Keep one dtype and one memory order: np.asarray with the dtype once, astype(copy=False), order='F' where a library wants it; %buffer_addr shows who shares memory."
            .into(),
    })
}

fn last(profile: &Profile, path: &Path) -> Option<CodeKind> {
    Some(profile.function(*path.calls.last()?).kind)
}

/// How many samples have such a function among the innermost ones, with nothing but code of such kinds inside of it.
fn near(profile: &Profile, is_it: fn(&str) -> bool, may_be_inside: fn(CodeKind) -> bool) -> u64 {
    profile.count(|path| {
        for id in path.calls.iter().rev().take(NEAR) {
            let function = profile.function(*id);
            if function.kind != CodeKind::Python && is_it(&function.name) {
                return true;
            }
            let waits = matches!(function.kind, CodeKind::Wait | CodeKind::GilWait);
            if waits || function.kind == CodeKind::Python || !may_be_inside(function.kind) {
                return false;
            }
        }
        false
    })
}

/// The functions of such names that have the most samples.
fn top(profile: &Profile, is_it: fn(&SampledFunction) -> bool) -> Vec<String> {
    let line = |(id, share): &(Id, super::profile::Share)| {
        let function = profile.function(*id);
        is_it(function).then(|| {
            format!(
                "{}: {} samples, {} % by itself",
                profile.label(*id),
                share.total,
                profile.percent(share.own)
            )
        })
    };
    profile.shares().iter().filter_map(line).take(5).collect()
}

fn is_malloc(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "malloc",
        "free",
        "cfree",
        "calloc",
        "realloc",
        "_int_malloc",
        "_int_free",
        "_int_realloc",
        "malloc_consolidate",
        "sysmalloc",
        "systrim",
        "mmap",
        "munmap",
        "madvise",
        "brk",
        "sbrk",
    ];
    let bare = name.trim_start_matches("__libc_").trim_start_matches("__");
    NAMES.contains(&name) || NAMES.contains(&bare)
}

/// Whether a function waits by its own instructions.
fn spins(function: &SampledFunction) -> bool {
    // The wheels' libgomp has no names; what it does by itself is to wait for work and for each other.
    let nameless = function.kind == CodeKind::OpenMp && function.name.ends_with(NAMELESS);
    nameless || (function.kind != CodeKind::Python && is_spin(&function.name))
}

fn is_spin(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "sched_yield",
        // It hands the kernels of a product their pieces, and waits for the pieces of others.
        "inner_thread",
        "inner_advanced_thread",
        // OpenBLAS's way to divide work waits in line for the other threads.
        "exec_blas",
        "__sched_yield",
        "pthread_spin_lock",
        "exec_blas_async_wait",
        "blas_thread_server",
        "do_spin",
        "gomp_barrier_wait_end",
        "gomp_team_barrier_wait_end",
    ];
    NAMES.contains(&name) || name.starts_with("__kmp_wait_") || name.starts_with("__kmp_flag_")
}

pub(crate) fn is_copy(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "raw_array_assign_array",
        "PyArray_AssignArray",
        "PyArray_NewCopy",
        "PyArray_CopyInto",
        "memcpy",
        "memmove",
        "PyArray_CastToType",
        "PyArray_FlattenInto",
    ];
    let moves = ["__memmove_", "__memcpy_"];
    NAMES.contains(&name) || moves.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_function_does() {
        assert!(is_malloc("malloc") && is_malloc("__libc_calloc") && is_malloc("__munmap"));
        assert!(!is_malloc("mallinfo") && is_spin("__sched_yield") && !is_spin("dgemm_nn"));
        assert!(is_spin("inner_thread") && is_spin("exec_blas") && !is_spin("exec_blas_async"));
        assert!(is_copy("__memmove_avx_unaligned_erms") && !is_copy("DOUBLE_copyswap"));
    }

    #[test]
    fn memory_that_stays_is_fetched_once() {
        let page = rustix::param::page_size() as u64;
        let usage = |faults, peak| Usage {
            faults,
            resident: Some(50 * page),
            peak: peak * page,
            ..Usage::default()
        };
        assert!(!usage(100, 150).fetches_again());
        assert!(usage(1000, 150).fetches_again());
        // Nothing is known of a peak that was reached before.
        assert!(!usage(1000, 5000).fetches_again());
    }
}
