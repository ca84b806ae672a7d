//! Debian's list of files: one `NAME.list` or `NAME:ARCHITECTURE.list` for each package, and their versions in `status`.
//!
//! There are many and long ones. Those of packages whose name begins with `lib` are read first, since most libraries
//! are in one of them; the rest only when they must be.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Manager, Package, is_library};
use diaphane_forks::ProcessLock;

const FOLDER: &str = "/var/lib/dpkg";

/// What was read of the lists, as they were when they had last changed.
#[derive(Default)]
struct Lists {
    changed: Option<SystemTime>,
    /// The libraries of the lists that were read, by the names of the packages.
    files: HashMap<String, String>,
    /// The lists that were not needed yet.
    unread: Vec<PathBuf>,
    versions: HashMap<String, String>,
    packages: HashMap<String, Arc<Package>>,
}

static LISTS: ProcessLock<Lists> = ProcessLock::new(Default::default);

pub(super) fn owner(library: &Path) -> Option<Arc<Package>> {
    let path = library.to_str()?;
    if path.starts_with("/usr/local/")
        || !["/usr/", "/lib"].iter().any(|root| path.starts_with(root))
    {
        return None;
    }
    let folder = Path::new(FOLDER);
    let changed = fs::metadata(folder.join("status")).and_then(|about| about.modified());
    let changed = changed.ok()?;
    let mut lists = LISTS.lock();
    if lists.changed != Some(changed) {
        *lists = Lists::open(folder, changed);
    }
    lists.owner(path)
}

impl Lists {
    fn open(folder: &Path, changed: SystemTime) -> Self {
        let entries = fs::read_dir(folder.join("info")).into_iter().flatten();
        let mut unread: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "list")
            })
            .collect();
        unread.sort_unstable();
        let status = fs::read(folder.join("status")).unwrap_or_default();
        let mut lists = Self {
            changed: Some(changed),
            unread,
            versions: versions(&String::from_utf8_lossy(&status)),
            ..Self::default()
        };
        lists.read(|name| name.starts_with("lib"));
        lists
    }

    fn owner(&mut self, path: &str) -> Option<Arc<Package>> {
        let name = self.find(path).or_else(|| {
            self.read(|_| true);
            self.find(path)
        })?;
        let package = self.packages.entry(name).or_insert_with_key(|name| {
            Arc::new(Package {
                name: name.clone(),
                version: self.versions.get(name).cloned().unwrap_or_default(),
                manager: Manager::Dpkg,
            })
        });
        Some(Arc::clone(package))
    }

    /// Where `/lib` is a link to `/usr/lib`, lists may name a file by either.
    fn find(&self, path: &str) -> Option<String> {
        let found = |path: &str| self.files.get(path).cloned();
        found(path).or_else(|| match path.strip_prefix("/usr") {
            Some(short) => found(short),
            None => found(&format!("/usr{path}")),
        })
    }

    /// Reads the lists of some packages, unless they were.
    fn read(&mut self, wanted: impl Fn(&str) -> bool) {
        let name = |list: &Path| -> String {
            let stem = list.file_stem().unwrap_or_default().to_string_lossy();
            stem.split(':').next().unwrap_or_default().to_owned()
        };
        let (now, later) = std::mem::take(&mut self.unread)
            .into_iter()
            .partition(|list| wanted(&name(list)));
        self.unread = later;
        let now: Vec<PathBuf> = now;
        for list in now {
            let text = fs::read(&list).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let package = name(&list);
            let libraries = text.lines().filter(|line| is_library(line));
            self.files
                .extend(libraries.map(|line| (line.to_owned(), package.clone())));
        }
    }
}

/// The fields `Package` and `Version` of each paragraph.
fn versions(status: &str) -> HashMap<String, String> {
    let mut versions = HashMap::new();
    let mut package = None;
    for line in status.lines() {
        if let Some(name) = line.strip_prefix("Package: ") {
            package = Some(name);
        } else if let Some(version) = line.strip_prefix("Version: ") {
            versions.extend(
                package
                    .take()
                    .map(|name| (name.to_owned(), version.to_owned())),
            );
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_needed() {
        let root = tempfile::tempdir().unwrap();
        let info = root.path().join("info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("libfoo1:amd64.list"), "/.\n/lib/libfoo.so.1\n").unwrap();
        fs::write(info.join("spam.list"), "/usr/lib/spam/egg.so\n").unwrap();
        let status =
            "Package: libfoo1\nStatus: install ok\nVersion: 1:2-3\n\nPackage: spam\nVersion: 4\n";
        fs::write(root.path().join("status"), status).unwrap();
        let mut lists = Lists::open(root.path(), SystemTime::UNIX_EPOCH);
        let mut owner = |path: &str| {
            let package = lists.owner(path);
            package.map(|package| format!("{} {}", package.name, package.version))
        };
        assert_eq!(
            owner("/usr/lib/libfoo.so.1").as_deref(),
            Some("libfoo1 1:2-3")
        );
        assert_eq!(owner("/usr/lib/spam/egg.so").as_deref(), Some("spam 4"));
        assert_eq!(owner("/usr/lib/other.so"), None);
        assert!(lists.unread.is_empty());
    }
}
