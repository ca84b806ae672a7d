//! P011: the cell waits for a child process, for the network or for files.

use diaphane_report::Diagnosis;
use diaphane_trace::sampler::Doing;

use super::{Scene, SlowCause, warn};
use crate::magics::native_prof::marks::StackMarks;
use crate::magics::native_prof::sampled::Path;

impl Scene<'_> {
    /// P011: the cell waits for somebody else's work.
    pub(super) fn waits(&self) -> Option<SlowCause> {
        let main = self.profile.main;
        let kinds = [
            (
                StackMarks::CHILD,
                "child processes",
                "Give the children more at once, or let several run at the same time; %process_tree lists them, and `diaphane stack PID` shows what one does.",
            ),
            (
                StackMarks::NETWORK,
                "the network",
                "Ask for several things at the same time (a ThreadPoolExecutor, asyncio), for more at once, or keep the answers.",
            ),
            (
                StackMarks::FILE,
                "files",
                "Read and write more at once, keep what is read, or use a faster disk; %%syscalls shows every call.",
            ),
            (
                StackMarks::DESCRIPTOR,
                "other processes or the network",
                "Let several requests wait at the same time (a ThreadPoolExecutor, asyncio); %%syscalls shows every call.",
            ),
        ];
        let waiting = |path: &Path| path.tid == main && path.doing == Doing::Waiting;
        let all = self.profile.count(|path| path.tid == main);
        for (place, (mark, whom, fix)) in kinds.iter().enumerate() {
            // A pipe of a child is a file too: the first of them that holds is what it is about.
            let before = &kinds[..place];
            let is_it = |path: &Path| {
                waiting(path)
                    && path.marks.has(*mark)
                    && !before.iter().any(|(other, ..)| path.marks.has(*other))
            };
            let count = self.profile.count(is_it);
            if count * 100 < all * 30 || count < 10 {
                continue;
            }
            let spot = self.usual_line(is_it, true);
            let evidence = spot.map_or_else(Vec::new, |spot| {
                self.evidence(spot, &[(count, "wait, on this thread")])
            });
            let share = (count * 1000 / all.max(1)) as f64 / 10.0;
            return Some(SlowCause {
                spot,
                did: format!("waits for {whom}"),
                samples: count,
                diagnosis: Diagnosis {
                    code: "P011",
                    ..warn(
                        format!("{share} % of this thread's samples wait for {whom}."),
                        evidence,
                        fix,
                    )
                },
            });
        }
        None
    }
}
