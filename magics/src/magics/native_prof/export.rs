//! The samples as files for other programs: collapsed stacks, speedscope's JSON, and the flame graph alone.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use diaphane_sight::files;
use serde_json::json;

use super::profile::Profile;
use crate::error::Error;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Svg,
    Speedscope,
    Collapsed,
}

/// A file that the user asked for.
#[derive(Debug, Clone)]
pub(crate) struct OutputFile {
    pub format: Format,
    pub path: PathBuf,
}

/// By so much of it a file is known.
const HEAD: u64 = 64 << 10;
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

impl OutputFile {
    /// Looks before the cell runs whether the file can be written: it is new, or was written by this option.
    pub(crate) fn check(&self, magic: &str) -> Result<(), Error> {
        let refuse = |why: &str| {
            let path = self.path.display();
            Err(Error::Usage(format!("%%{magic}: {path} {why}")))
        };
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return refuse("cannot be written: its folder does not exist");
        }
        if self.path.is_dir() {
            return refuse("is a folder; name a file");
        }
        if !self.path.exists() {
            return Ok(());
        }
        let begins = match files::head(&self.path, HEAD) {
            Ok(begins) => begins,
            Err(error) => {
                return refuse(&format!("cannot be replaced: {error}; name another file"));
            }
        };
        if begins.is_empty() || self.format.made(&String::from_utf8_lossy(&begins)) {
            return Ok(());
        }
        refuse("exists and is no such file; name another one, or delete it")
    }

    /// Writes it.
    pub(crate) fn write(&self, magic: &str, profile: &Profile, svg: &str) -> Result<(), Error> {
        let text = match self.format {
            Format::Svg => standalone(svg),
            Format::Speedscope => speedscope(profile).to_string(),
            Format::Collapsed => collapsed(profile),
        };
        let written =
            files::create(&self.path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            let path = self.path.display();
            Error::Usage(format!("%%{magic}: {path} cannot be written: {error}"))
        })
    }
}

impl Format {
    /// Whether a text looks like the beginning of a file of this format.
    fn made(self, text: &str) -> bool {
        match self {
            Self::Svg => text.trim_start().starts_with("<svg"),
            Self::Speedscope => text.contains(SCHEMA),
            Self::Collapsed => text.split_inclusive('\n').take(3).all(|line| {
                // The last one may be cut.
                let Some(line) = line.strip_suffix('\n') else {
                    return text.contains('\n');
                };
                let count = line.rsplit_once(' ').map(|(_, count)| count.parse::<u64>());
                matches!(count, Some(Ok(_)))
            }),
        }
    }
}

/// A picture outside of a notebook has no theme: dark on white.
fn standalone(svg: &str) -> String {
    svg.replace("var(--jp-content-font-color1,currentColor)", "#202020")
        .replace("var(--jp-content-font-color2,currentColor)", "#606060")
        .replace("var(--jp-layout-color2,#88888833)", "#dddddd")
        .replacen("style=\"", "style=\"background:#ffffff;", 1)
}

/// One line a stack: the thread, its functions from the outermost on, and how many samples.
fn collapsed(profile: &Profile) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (path, count) in &profile.paths {
        let mut frames = vec![profile.thread(path.tid)];
        frames.extend(path.calls.iter().map(|id| profile.label(*id)));
        // Both marks belong to the format.
        let clean = frames
            .iter()
            .map(|frame| frame.replace(';', ":").replace(['\n', '\r'], " "));
        let stack: Vec<String> = clean.collect();
        lines.push(format!("{} {count}\n", stack.join(";")));
    }
    lines.concat()
}

/// One profile a thread, in the format of speedscope.
fn speedscope(profile: &Profile) -> serde_json::Value {
    let frame = |id: usize| {
        let function = &profile.functions[id];
        let label = profile.label(id as u32);
        json!({"name": label, "file": function.file.as_ref().or(function.library.as_ref()), "line": function.line})
    };
    let frames: Vec<_> = (0..profile.functions.len()).map(frame).collect();
    let thread = |tid: &i32| {
        let own = profile.paths.iter().filter(|(path, _)| path.tid == *tid);
        let samples: Vec<_> = own.clone().map(|(path, _)| &path.calls).collect();
        let weights: Vec<u64> = own.map(|(_, count)| *count).collect();
        let end: u64 = weights.iter().sum();
        json!({"type": "sampled", "name": profile.thread(*tid), "unit": "none", "startValue": 0,
            "endValue": end, "samples": samples, "weights": weights})
    };
    let profiles: Vec<_> = profile.threads.keys().map(thread).collect();
    json!({"$schema": SCHEMA, "shared": {"frames": frames}, "profiles": profiles,
        "name": "diaphane", "exporter": "diaphane", "activeProfileIndex": 0})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_same_kind_are_replaced() {
        assert!(Format::Svg.made("<svg xmlns") && !Format::Svg.made("import numpy"));
        assert!(Format::Collapsed.made("a;b 12\n") && !Format::Collapsed.made("my notes\n"));
        assert!(!Format::Speedscope.made("{}"));
    }
}
