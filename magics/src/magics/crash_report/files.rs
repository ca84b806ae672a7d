//! Where crash reports are kept: beside the black box, which is beside the connection file; no more than a few.

use std::fs;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use diaphane_report::Report;
use diaphane_sight::crash::black_box;

use crate::error::Error;

/// So many are kept of the kernels of one connection file.
const KEPT: usize = 5;
/// So many are kept in one folder.
const KEPT_IN_FOLDER: usize = 20;
/// What stands between the name of the black box and the time.
const MARK: &str = "-crash-";
/// The name of every black box begins so.
const BEGIN: &str = "diaphane-";

/// The name of the file of a report of this time, beside a black box.
fn path(black_box: &Path, at: u64) -> PathBuf {
    let stem = black_box.file_stem().unwrap_or_default().to_string_lossy();
    black_box.with_file_name(format!("{stem}{MARK}{at}.json"))
}

/// Writes a report beside a black box, and removes what is too old. Where it is.
pub(super) fn write(report: &Report, black_box: &Path, at: u64) -> io::Result<PathBuf> {
    let text = report.to_stored().map_err(io::Error::other)?;
    let path = path(black_box, at);
    // Nobody else reads half of it.
    let draft = path.with_extension("draft");
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&draft)?.write_all(text.as_bytes())?;
    fs::rename(&draft, &path)?;
    prune(black_box);
    Ok(path)
}

fn prune(black_box: &Path) {
    let of_folder = all(black_box, true);
    let too_old = all(black_box, false).into_iter().skip(KEPT);
    for path in of_folder.into_iter().skip(KEPT_IN_FOLDER).chain(too_old) {
        // Another kernel may have removed it.
        let _ = fs::remove_file(path);
    }
}

/// The files of reports, the latest first: of the kernels of this connection file, or of all in its folder.
pub(super) fn all(black_box: &Path, of_folder: bool) -> Vec<PathBuf> {
    let stem = black_box.file_stem().unwrap_or_default().to_string_lossy();
    let own = format!("{stem}{MARK}");
    let folder = black_box.parent().map(fs::read_dir);
    let entries = folder.into_iter().flatten().flatten().flatten();
    let time = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let is_wanted = name.starts_with(BEGIN) && (of_folder || name.starts_with(&own));
        let (_, time) = name.rsplit_once(MARK)?;
        time.parse::<u64>().ok().filter(|_| is_wanted)
    };
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<(u64, PathBuf)> = paths
        .filter_map(|path| Some((time(&path)?, path)))
        .collect();
    found.sort_unstable();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// Where this process's reports are kept, if anywhere.
pub(super) fn own_black_box() -> Option<&'static Path> {
    black_box::path()
}

/// Reads a report.
pub(super) fn read(path: &Path) -> Result<Report, Error> {
    let refuse = |why: String| Error::Usage(format!("{} cannot be read: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    Report::from_stored(&text).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_and_the_latest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (
            folder.path().join("diaphane-a.box"),
            folder.path().join("diaphane-b.box"),
        );
        let report = Report::default();
        for at in 0..9 {
            write(&report, &one, at).unwrap();
        }
        write(&report, &other, 4).unwrap();
        let times = |black_box: &Path, of_folder| -> Vec<String> {
            let names = all(black_box, of_folder).into_iter();
            names
                .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
                .collect()
        };
        let own: Vec<String> = (4..9)
            .rev()
            .map(|at| format!("diaphane-a-crash-{at}"))
            .collect();
        assert_eq!(times(&one, false), own);
        assert_eq!(times(&other, true).len(), 6);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            6,
            "no draft is left"
        );
    }
}
