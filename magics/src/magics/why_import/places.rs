//! Where else a library might be: the folders of this Python and of the system, and the linker's own list.

use std::fs;
use std::path::{Path, PathBuf};

use diaphane_sight::code::file;
use diaphane_sight::linker::search::Rules;
use pyo3::prelude::*;

use crate::libraries::names::stem;

/// More are not named.
const MOST: usize = 12;

/// The folders in which packages keep libraries.
#[derive(Debug, Default)]
pub(super) struct Places {
    folders: Vec<PathBuf>,
}

impl Places {
    /// Asks Python for its folders; `near` is a file that is looked around, too.
    pub fn of(py: Python<'_>, near: Option<&Path>) -> PyResult<Self> {
        let sys = py.import("sys")?;
        let mut folders = Vec::new();
        for name in ["prefix", "base_prefix"] {
            let prefix: PathBuf = sys.getattr(name)?.extract()?;
            folders.push(prefix.join("lib"));
        }
        folders
            .extend(std::env::var_os("CONDA_PREFIX").map(|prefix| Path::new(&prefix).join("lib")));
        let variable = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&variable));
        folders.extend(near.and_then(Path::parent).map(Path::to_owned));
        for entry in sys.getattr("path")?.try_iter()? {
            let site = entry?.extract::<PathBuf>().unwrap_or_default();
            if site.ends_with("site-packages") || site.ends_with("dist-packages") {
                folders.extend(of_site(&site));
            }
        }
        folders.push("/usr/local/lib".into());
        folders.retain(|folder| folder.is_absolute());
        Ok(Self { folders })
    }

    /// The files that are a library of a name, or another version of it; those of the very name first.
    pub fn like(&self, name: &str, rules: &Rules) -> Vec<PathBuf> {
        let wanted = stem(name);
        let listed = self
            .folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok());
        let named = listed.flatten().flatten().map(|entry| entry.path());
        let cached = rules
            .cached_like(wanted)
            .map(|(_, path)| PathBuf::from(path));
        let is_like = |path: &PathBuf| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| name.contains(".so") && stem(&name) == wanted)
        };
        let mut found: Vec<PathBuf> = Vec::new();
        for path in named.chain(cached).filter(is_like) {
            let is_known =
                |other: &PathBuf| fs::canonicalize(other).ok() == fs::canonicalize(&path).ok();
            if file::class(&path).is_some() && !found.iter().any(is_known) {
                found.push(path);
            }
        }
        found.sort_by_key(|path| path.file_name().is_none_or(|own| own != name));
        found.truncate(MOST);
        found
    }
}

/// `PACKAGE.libs`, `PACKAGE/lib`, `PACKAGE/.libs`, and the `lib` of each part of a package that has parts.
fn of_site(site: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(site).into_iter().flatten().flatten();
    let packages = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    let mut folders = Vec::new();
    for package in packages {
        let name = package
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".libs") {
            folders.push(package);
            continue;
        }
        folders.extend([package.join("lib"), package.join(".libs")]);
        if name == "nvidia" {
            let parts = fs::read_dir(&package).into_iter().flatten().flatten();
            folders.extend(parts.map(|part| part.path().join("lib")));
        }
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

/// The variables that decide what the linker and Python find, where they are not what the process was started with.
pub(super) fn changes(py: Python<'_>) -> PyResult<serde_json::Map<String, serde_json::Value>> {
    const VARIABLES: [&str; 5] = [
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "PATH",
        "CONDA_PREFIX",
        "PYTHONPATH",
    ];
    let now = py.import("os")?.getattr("environ")?;
    let mut changes = serde_json::Map::new();
    for name in VARIABLES {
        let now: Option<String> = now
            .call_method1("get", (name,))?
            .extract()
            .unwrap_or_default();
        let start = diaphane_sight::linker::search::started_with(name);
        if now != start {
            changes.insert(
                name.into(),
                serde_json::json!({"at_start": start, "now": now}),
            );
        }
    }
    Ok(changes)
}
