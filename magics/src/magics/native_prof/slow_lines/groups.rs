//! P012: Python is called for each group of a frame.

use super::super::marks::StackMarks;
use super::super::sampled::Path;
use super::{Scene, SlowCause, warn};
use diaphane_report::Diagnosis;

const FIX: &str = "Let groupby compute for all groups at once: .mean(), .sum(), .agg(\"mean\"), .transform(\"mean\"); columns that a \
                   function of yours needs are computed before the grouping.";

impl Scene<'_> {
    /// A function of the user's that pandas calls for each group.
    pub(super) fn group_wise(&self) -> Option<SlowCause> {
        let is_it = |path: &Path| path.marks.has(StackMarks::GROUPS);
        let all = self.profile.count(is_it);
        if !self.is_much(all, 30) {
            return None;
        }
        let spot = self.usual_line(is_it, false)?;
        let title = format!(
            "{} takes {} % of the samples: pandas calls a function of Python's for each group.",
            self.line(spot).place(),
            self.share(all)
        );
        let evidence = self.evidence(spot, &[(all, "are where pandas calls it for a group")]);
        Some(SlowCause {
            spot: Some(spot),
            did: "pandas calls Python for each group; use .mean(), .agg(\"mean\") and the like"
                .into(),
            samples: all,
            diagnosis: Diagnosis {
                code: "P012",
                ..warn(title, evidence, FIX)
            },
        })
    }

    /// A loop of the user's over the groups.
    pub(super) fn loop_over_groups(&self, spot: u32, all: u64, lookup: u64) -> SlowCause {
        let title = format!(
            "{} takes {} % of the samples: a Python loop over groups, each of which pandas makes a table of.",
            self.line(spot).place(),
            self.share(all)
        );
        let evidence = self.evidence(spot, &[(lookup, "look something up in such a table")]);
        SlowCause {
            spot: Some(spot),
            did: "a Python loop over groups; use .mean(), .agg(\"mean\") and the like".into(),
            samples: all,
            diagnosis: Diagnosis {
                code: "P012",
                ..warn(title, evidence, FIX)
            },
        }
    }
}
