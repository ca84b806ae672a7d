//! Which installed package a file belongs to, by the lists that installers leave: pip's `*.dist-info/RECORD`, conda's
//! `conda-meta/*.json`, Debian's `/var/lib/dpkg/info/*.list`.
//!
//! It looks only at files on disk and runs nothing. A file that no list names has no package.

mod conda;
mod debian;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use diaphane_forks::ProcessLock;
use serde::Serialize;

/// A package as its metadata calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whose list names the file.
    pub manager: Manager,
}

/// Who installed a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// pip, or whoever else installs wheels.
    Pip,
    /// conda, mamba or pixi.
    Conda,
    /// Debian's or Ubuntu's package manager.
    Dpkg,
}

/// Finds the package that installed a library.
pub fn owner(library: &Path) -> Option<Arc<Package>> {
    wheel(library)
        .or_else(|| conda::owner(library))
        .or_else(|| debian::owner(library))
}

/// Finds the Python distribution that installed a library.
fn wheel(library: &Path) -> Option<Arc<Package>> {
    let site = library.ancestors().find(|folder| {
        folder
            .file_name()
            .is_some_and(|name| name == "site-packages" || name == "dist-packages")
    })?;
    let changed = fs::metadata(site).and_then(|about| about.modified()).ok()?;
    let mut sites = SITES.lock();
    let known = sites.get(site).filter(|known| known.changed == changed);
    let files = match known {
        Some(known) => Arc::clone(&known.files),
        None => {
            let files = Arc::new(libraries_of(site));
            sites.insert(
                site.to_owned(),
                Site {
                    changed,
                    files: Arc::clone(&files),
                },
            );
            files
        }
    };
    files.get(library.strip_prefix(site).ok()?).cloned()
}

/// A folder of packages, as it was when it had last changed.
struct Site {
    changed: SystemTime,
    files: Arc<Files>,
}

/// The libraries of a site, relative to it.
type Files = HashMap<PathBuf, Arc<Package>>;

static SITES: ProcessLock<HashMap<PathBuf, Site>> = ProcessLock::new(Default::default);

fn libraries_of(site: &Path) -> Files {
    let mut files = Files::new();
    let folders = fs::read_dir(site)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for folder in folders.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "dist-info")
    }) {
        let Ok(record) = fs::read(folder.join("RECORD")) else {
            continue;
        };
        let record = String::from_utf8_lossy(&record);
        let mut libraries = record.lines().filter_map(library).peekable();
        if libraries.peek().is_none() {
            continue;
        }
        if let Some(package) = package(&folder).map(Arc::new) {
            files.extend(libraries.map(|path| (path, Arc::clone(&package))));
        }
    }
    files
}

/// The path in a line of RECORD, `path,hash,size` with quotes around a path that holds a comma, if it is a library.
fn library(line: &str) -> Option<PathBuf> {
    let path = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",")?.0.replace("\"\"", "\""),
        None => line.split_once(',')?.0.to_owned(),
    };
    is_library(&path).then(|| path.into())
}

/// Whether a path has the form of a shared library's name.
fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.contains(".so.")
}

/// Reads name and version from the head of METADATA.
fn package(folder: &Path) -> Option<Package> {
    let metadata = fs::read(folder.join("METADATA")).ok()?;
    let metadata = String::from_utf8_lossy(&metadata);
    let head = || metadata.lines().take_while(|line| !line.is_empty());
    let field =
        |mark: &str| head().find_map(|line| Some(line.strip_prefix(mark)?.trim().to_owned()));
    Some(Package {
        name: field("Name:")?,
        version: field("Version:")?,
        manager: Manager::Pip,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(site: &Path, name: &str, version: &str, record: &str) {
        let folder = site.join(format!("{name}-{version}.dist-info"));
        fs::create_dir_all(&folder).unwrap();
        let metadata =
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n");
        fs::write(folder.join("METADATA"), metadata).unwrap();
        fs::write(folder.join("RECORD"), record).unwrap();
    }

    #[test]
    fn the_record_names_the_owner() {
        let root = tempfile::tempdir().unwrap();
        let site = root.path().join("lib/site-packages");
        install(
            &site,
            "spam",
            "1.2",
            "spam/_core.abi3.so,sha256=x,1\nspam.libs/libegg-1a.so.3,,\nspam/a.py,,\n",
        );
        install(&site, "ham", "3", "\"ham/with, comma.so\",,\n");
        let name = |path: &str| {
            owner(&site.join(path)).map(|package| format!("{} {}", package.name, package.version))
        };
        assert_eq!(name("spam/_core.abi3.so").as_deref(), Some("spam 1.2"));
        assert_eq!(
            name("spam.libs/libegg-1a.so.3").as_deref(),
            Some("spam 1.2")
        );
        assert_eq!(name("ham/with, comma.so").as_deref(), Some("ham 3"));
        assert_eq!(name("spam/other.so"), None);
        assert_eq!(owner(Path::new("/usr/local/lib/libm.so.6")), None);
    }

    #[test]
    fn a_package_installed_later_is_found() {
        let root = tempfile::tempdir().unwrap();
        let site = root.path().join("site-packages");
        install(&site, "spam", "1", "spam.so,,\n");
        assert!(owner(&site.join("late.so")).is_none());
        install(&site, "late", "2", "late.so,,\n");
        // Folders on some file systems are stamped more coarsely than this test runs.
        fs::File::open(&site)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(owner(&site.join("late.so")).unwrap().version, "2");
    }
}
