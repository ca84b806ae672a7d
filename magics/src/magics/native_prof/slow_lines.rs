//! The commonest reasons why a cell is slow, each found by samples of one of its lines and said only where they show it.

mod groups;
mod waits;

use diaphane_report::{Diagnosis, Severity};
use diaphane_trace::sampler::Doing;

use super::diagnoses::{ENOUGH, is_copy};
use super::kinds::CodeKind;
use super::marks::StackMarks;
use super::profile::Profile;
use super::sampled::Path;
use super::source::SourceLine;

/// A reason, the line that it is about, and what that did in a few words.
pub(crate) struct SlowCause {
    pub spot: Option<u32>,
    pub did: String,
    pub samples: u64,
    pub diagnosis: Diagnosis,
}

/// What the reasons are looked for in.
struct Scene<'a> {
    profile: &'a Profile,
    lines: &'a [SourceLine],
}

/// All of them, those that took most first.
pub(crate) fn causes(profile: &Profile, lines: &[SourceLine]) -> Vec<SlowCause> {
    if profile.samples < ENOUGH {
        return Vec::new();
    }
    let scene = Scene { profile, lines };
    let mut found = Vec::new();
    found.extend(scene.iterrows());
    found.extend(scene.row_wise());
    found.extend(scene.group_wise());
    let rows = !found.is_empty();
    for spot in 0..lines.len() as u32 {
        let grown = scene.grown(spot);
        let small = scene.tiny_products(spot).filter(|_| grown.is_none());
        let looped = scene
            .looped(spot, rows)
            .filter(|_| grown.is_none() && small.is_none());
        found.extend(
            [grown, small, looped, scene.objects(spot)]
                .into_iter()
                .flatten(),
        );
    }
    found.extend(scene.waits());
    found.sort_by_key(|cause| u64::MAX - cause.samples);
    found
}

/// A diagnosis of this file, but for its code: each costs time.
fn warn(title: String, evidence: Vec<String>, fix: &str) -> Diagnosis {
    Diagnosis {
        code: Default::default(),
        severity: Severity::Warn,
        title,
        evidence,
        fix: fix.to_owned(),
    }
}

impl Scene<'_> {
    fn line(&self, spot: u32) -> &SourceLine {
        &self.lines[spot as usize]
    }

    /// Whether so many samples are a share of all that is worth a word.
    fn is_much(&self, samples: u64, percent: u64) -> bool {
        samples * 100 >= self.profile.samples * percent
    }

    /// Samples whose innermost line of a cell is this one.
    fn own(&self, spot: u32, holds: impl Fn(&Path) -> bool) -> u64 {
        let is_own = |path: &Path| path.spots.first() == Some(&spot);
        self.profile.count(|path| is_own(path) && holds(path))
    }

    fn leaf(&self, path: &Path) -> Option<CodeKind> {
        Some(self.profile.function(*path.calls.last()?).kind)
    }

    /// The line on which such samples are most often, the innermost or the outermost one of a cell.
    fn usual_line(&self, holds: impl Fn(&Path) -> bool, innermost: bool) -> Option<u32> {
        let place = |path: &Path| match innermost {
            true => path.spots.first().copied(),
            false => path.spots.last().copied(),
        };
        let count = |spot: &u32| {
            self.profile
                .count(|path| holds(path) && place(path) == Some(*spot))
        };
        (0..self.lines.len() as u32)
            .max_by_key(count)
            .filter(|spot| count(spot) > 0)
    }

    fn share(&self, samples: u64) -> f64 {
        self.profile.percent(samples)
    }

    fn evidence(&self, spot: u32, counted: &[(u64, &str)]) -> Vec<String> {
        let line = self.line(spot);
        let mut evidence = vec![format!("{}: {}", line.place(), line.text)];
        let counted = counted.iter().filter(|(count, _)| *count > 0);
        evidence
            .extend(counted.map(|(count, what)| {
                format!("{count} of {} samples {what}", self.profile.samples)
            }));
        evidence
    }

    /// P006: a loop of Python's over values that lie in an array.
    fn looped(&self, spot: u32, rows: bool) -> Option<SlowCause> {
        let line = self.line(spot);
        let all = self.own(spot, |_| true);
        let runs = |path: &Path| path.doing == Doing::Running;
        let boxed = self.own(spot, |path| {
            runs(path) && path.marks.has(StackMarks::DIRECT) && path.marks.has(StackMarks::BOXED)
        });
        let is_python = |path: &Path| self.leaf(path) == Some(CodeKind::Python);
        let python = self.own(spot, |path| {
            path.marks.has(StackMarks::DIRECT)
                && !path.marks.has(StackMarks::BOXED)
                && is_python(path)
        });
        let lookup = self.own(spot, |path| path.marks.has(StackMarks::LOOKUP));
        let overhead = self.own(spot, |path| {
            path.marks.has(StackMarks::LOOKUP) && is_python(path)
        });
        // A Series is gone through by a function that is called for each value; what that takes is the loop's.
        let steps = self.own(spot, |path| {
            runs(path) && path.marks.has(StackMarks::DIRECT) && path.marks.has(StackMarks::STEP)
        });
        let taken = self.own(spot, |path| {
            runs(path)
                && path.marks.has(StackMarks::DIRECT)
                && (path.marks.has(StackMarks::BOXED) || path.marks.has(StackMarks::STEP))
        });
        let boxes = boxed >= 2 && taken * 100 >= all * 15 && (boxed + python) * 2 >= all;
        // A write by pandas may copy its column, which is no Python.
        let looks_up = !rows && lookup * 100 >= all * 30 && overhead * 4 >= lookup;
        if !line.in_loop || !self.is_much(all, 10) || all < 10 || !(boxes || looks_up) {
            return None;
        }
        if !boxes && line.by_groups {
            return Some(self.loop_over_groups(spot, all, lookup));
        }
        let how = match boxes {
            true => "each value becomes a Python object",
            false => "pandas looks each value up by itself",
        };
        let evidence = self.evidence(
            spot,
            &[
                (boxed, "make or use an object for one value of an array"),
                (steps, "take the next value"),
                (lookup, "are in pandas' lookup of one value"),
                (python, "are in the interpreter"),
            ],
        );
        Some(self.loop_over(spot, all, how, evidence))
    }

    fn loop_over(&self, spot: u32, all: u64, how: &str, evidence: Vec<String>) -> SlowCause {
        let line = self.line(spot);
        let over = match line.over.is_empty() {
            true => "an array or a Series".to_owned(),
            false => line.over.join(", "),
        };
        SlowCause {
            spot: Some(spot),
            did: format!("a Python loop over {over}: {how}; vectorise"),
            samples: all,
            diagnosis: Diagnosis {
                code: "P006",
                ..warn(
                    format!(
                        "{} takes {} %: a Python loop over {over}, in which {how}.",
                        line.place(),
                        self.share(all)
                    ),
                    evidence,
                    "Compute with whole arrays or columns (a * 2, np.where, Series.sum); where a loop must be, go over a.tolist(), \
                 or compile it: numba, %%rust.",
                )
            },
        }
    }

    /// P007: arrays of Python objects.
    fn objects(&self, spot: u32) -> Option<SlowCause> {
        let objects = self.own(spot, |path| path.marks.has(StackMarks::OBJECTS));
        if !self.is_much(objects, 30) || objects < 10 {
            return None;
        }
        let place = self.line(spot).place();
        Some(SlowCause {
            spot: Some(spot),
            did:
                "computes with dtype object: one call of Python for each value; use a numeric dtype"
                    .into(),
            samples: objects,
            diagnosis: Diagnosis {
                code: "P007",
                ..warn(
                    format!(
                        "{place} computes with dtype object for {} % of the samples: Python is called for each value.",
                        self.share(objects)
                    ),
                    self.evidence(spot, &[(objects, "are in loops for Python objects")]),
                    "Convert once: astype(float), pd.to_numeric, convert_dtypes, astype(\"category\") or \"string\" for text.",
                )
            },
        })
    }

    /// P008: a function that is called for each row of a frame.
    fn row_wise(&self) -> Option<SlowCause> {
        let is_it = |path: &Path| path.marks.has(StackMarks::APPLY);
        let all = self.profile.count(is_it);
        let rows = self.profile.count(|path| path.marks.has(StackMarks::ROWS));
        // Only by rows pandas makes each Series anew; that is seen now and then.
        if !self.is_much(all, 30) || rows < 2 || rows * 100 < all {
            return None;
        }
        let spot = self.usual_line(is_it, false)?;
        Some(SlowCause {
            spot: Some(spot),
            did: "DataFrame.apply calls Python for each row; compute with whole columns".into(),
            samples: all,
            diagnosis: Diagnosis {
                code: "P008",
                ..warn(
                    format!(
                        "DataFrame.apply with axis=1 takes {} % of the samples: Python is called for each row.",
                        self.share(all)
                    ),
                    self.evidence(
                        spot,
                        &[
                            (all, "are below DataFrame.apply"),
                            (rows, "make a Series of a row"),
                        ],
                    ),
                    "Compute with whole columns: df[\"a\"] + df[\"b\"], np.where, np.select, Series.map with a dict.",
                )
            },
        })
    }

    /// P009: `iterrows`.
    fn iterrows(&self) -> Option<SlowCause> {
        let is_it = |path: &Path| path.marks.has(StackMarks::ITERROWS);
        let all = self.profile.count(is_it);
        if !self.is_much(all, 15) {
            return None;
        }
        let spot = self.usual_line(is_it, true)?;
        Some(SlowCause {
            spot: Some(spot),
            did: "DataFrame.iterrows makes a Series of each row; use columns, or itertuples".into(),
            samples: all,
            diagnosis: Diagnosis {
                code: "P009",
                ..warn(
                    format!(
                        "DataFrame.iterrows takes {} % of the samples: it makes a Series of each row.",
                        self.share(all)
                    ),
                    self.evidence(spot, &[(all, "are in DataFrame.iterrows")]),
                    "Compute with whole columns; where a loop must be, df.itertuples() or zip(df[\"a\"], df[\"b\"]) is many times faster.",
                )
            },
        })
    }

    /// P010: something that grows by being copied.
    fn grown(&self, spot: u32) -> Option<SlowCause> {
        let line = self.line(spot);
        let name = line.grows.as_ref().filter(|_| line.in_loop)?;
        let copied = self
            .profile
            .count(|path| path.spots.contains(&spot) && path.marks.has(StackMarks::CONCATENATES));
        if !self.is_much(copied, 20) || copied < 10 {
            return None;
        }
        Some(SlowCause {
            spot: Some(spot),
            did: format!(
                "copies all of {name} in each round to make it longer; collect in a list, join once"
            ),
            samples: copied,
            diagnosis: Diagnosis {
                code: "P010",
                ..warn(
                    format!(
                        "{} takes {} % of the samples: each round of the loop copies all of {name} to make it longer.",
                        line.place(),
                        self.share(copied)
                    ),
                    self.evidence(spot, &[(copied, "put arrays, tables or texts together")]),
                    "Append the parts to a list and join them once behind the loop: np.concatenate(parts), pd.concat(parts), \"\".join(parts); or make \
                 the array at its full size first.",
                )
            },
        })
    }

    /// C004: products of matrices that are so small that BLAS has little to do.
    fn tiny_products(&self, spot: u32) -> Option<SlowCause> {
        let line = self.line(spot);
        let is_product =
            |path: &Path| path.marks.has(StackMarks::PRODUCT) && path.doing == Doing::Running;
        let all = self.own(spot, is_product);
        let blas = self.own(spot, |path| {
            is_product(path) && self.leaf(path) == Some(CodeKind::Blas)
        });
        let copies = |path: &Path| {
            let last = path.calls.last().map(|id| self.profile.function(*id));
            last.is_some_and(|last| is_copy(&last.name))
        };
        let copied = self.own(spot, |path| is_product(path) && copies(path));
        if !line.in_loop
            || !self.is_much(all, 30)
            || blas == 0
            || blas * 2 >= all
            || copied * 3 >= all
        {
            return None;
        }
        Some(SlowCause {
            spot: Some(spot),
            did: "many operations on tiny matrices: more time around BLAS than in it; stack them"
                .into(),
            samples: all,
            diagnosis: Diagnosis {
                code: "C004",
                ..warn(
                    format!(
                        "{} computes with many tiny matrices: {} % of the samples are in these operations, {} % in BLAS itself.",
                        line.place(),
                        self.share(all),
                        self.share(blas)
                    ),
                    self.evidence(
                        spot,
                        &[
                            (all, "are in operations on matrices"),
                            (blas, "are in BLAS"),
                        ],
                    ),
                    "Stack them, so that one call computes all: a @ b with arrays of shape (n, k, k), or np.einsum.",
                )
            },
        })
    }
}
