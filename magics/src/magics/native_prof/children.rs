//! P005: the work of a cell was done by other processes, which are not sampled.

use diaphane_report::view::time;
use diaphane_report::{Diagnosis, Severity};

use super::diagnoses::Usage;
use crate::recording::children::ChildrenSpent;

/// From this share of all CPU time on it is worth a word.
const SHARE: f64 = 0.1;

/// The work was done elsewhere.
pub(super) fn finding(spent: &ChildrenSpent, own: Usage) -> Option<Diagnosis> {
    let own = (own.user + own.system).as_nanos() as f64;
    let used = spent.cpu_ns as f64;
    let who = spent.who();
    let look = match spent.alive.first() {
        Some(pid) => format!("diaphane stack {pid} shows what a worker does now; "),
        None => String::new(),
    };
    let numbers: Vec<String> = spent.alive.iter().take(8).map(i32::to_string).collect();
    let there = match numbers.is_empty() {
        true => "they have ended".to_owned(),
        false => format!("still there: {}", numbers.join(", ")),
    };
    (used > 0.0 && used >= SHARE * (own + used)).then(|| Diagnosis {
            code: "P005",
            severity: Severity::Warn,
            title: format!(
                "{who} used {} of CPU time that was not sampled.",
                time(used)
            ),
            evidence: vec![
                format!("this process used {}", time(own)),
                there,
            ],
            fix: format!(
                "%%native_prof --children samples them too; or have it done in this process: n_jobs=1, or joblib.parallel_config(backend=\"threading\"), \
                 or a ThreadPoolExecutor; {look}%process_tree lists them."
            ),
        })
}
