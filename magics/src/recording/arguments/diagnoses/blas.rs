//! C004 and C006: calls of BLAS that are too small.

use std::collections::BTreeMap;

use diaphane_sight::runtimes::pool_libraries::{Api, runtime, threads_of};

use super::{FindingsInput, count};
use diaphane_report::{Diagnosis, Severity};

/// So many calls are many.
const MANY: usize = 1000;
/// A call that does less takes longer to make than to compute.
const TINY: f64 = 2000.0;
/// OpenBLAS computes smaller products with one thread: GEMM_MULTITHREAD_THRESHOLD times SMP_THRESHOLD_MIN.
const UNDIVIDED: f64 = 4.0 * 65536.0;
/// Less work than this is not worth a word on threads.
const WORTH: f64 = 1e7;

/// C004: many calls that do next to nothing.
pub(super) fn tiny_calls(input: &FindingsInput<'_>) -> Vec<Diagnosis> {
    let mut functions: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for (known, call, _) in input.functions() {
        if let Some(flop) = call.flop {
            let sum = functions.entry(&known.signature.name).or_default();
            sum.0 += 1;
            sum.1 += flop;
        }
    }
    let tiny = functions
        .into_iter()
        .filter(|(_, (calls, flop))| *calls >= MANY && flop / *calls as f64 <= TINY);
    tiny.map(|(name, (calls, flop))| Diagnosis {
        code: "C004",
        severity: Severity::Info,
        title: format!(
            "{} of {name} do {} each on average: making the call takes longer than computing.",
            count(calls, "call"),
            count((flop / calls as f64).round() as usize, "operation")
        ),
        evidence: vec![format!("{flop:.0} floating-point operations in {calls} calls")],
        fix: "Stack the small arrays and compute once: numpy.stack, then `@` or numpy.einsum on all of them.".into(),
    })
    .collect()
}

/// C006: a pool of threads of which one computes.
pub(super) fn one_thread(input: &FindingsInput<'_>) -> Option<Diagnosis> {
    let (mut calls, mut flop, mut largest) = (0, 0.0, 0.0_f64);
    for (known, call, _) in input.functions() {
        let size = |name| call.integer(name).map(|size| size as f64);
        let (Some(done), true) = (call.flop, known.signature.name.ends_with("gemm")) else {
            continue;
        };
        calls += 1;
        flop += done;
        largest = largest.max(size("m")? * size("n")? * size("k")?);
    }
    if calls == 0 || largest > UNDIVIDED || flop < WORTH {
        return None;
    }
    let pool = input.libraries.iter().find_map(|library| {
        let runtime = runtime(library)?;
        let is_pool = runtime.api == Api::Blas && runtime.name == "OpenBLAS";
        let threads = threads_of(library, runtime).filter(|_| is_pool)?;
        (threads > 1).then_some((library.name.as_str(), threads))
    });
    let (library, threads) = pool?;
    // Others that computed would have taken as much time each. A pool that was just made spins for some milliseconds.
    let (here, elsewhere) = input.watched.cpu?;
    (elsewhere * 3 <= here).then(|| Diagnosis {
        code: "C006",
        severity: Severity::Info,
        title: format!(
            "OpenBLAS has {threads} threads and used one: each of {} is too small to be divided.",
            count(calls, "product")
        ),
        evidence: vec![
            format!("{library}: the largest product has m*n*k = {largest:.0}, and up to {UNDIVIDED:.0} are computed by one thread"),
            format!(
                "CPU time meanwhile: {} in the thread that called, {} in all others",
                diaphane_report::view::time(here as f64),
                diaphane_report::view::time(elsewhere as f64)
            ),
        ],
        fix: "Nothing, if it is fast enough; otherwise divide the work above BLAS, among threads or processes, or make larger products.".into(),
    })
}
