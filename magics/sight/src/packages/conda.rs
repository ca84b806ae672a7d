//! conda's list of files: one `conda-meta/NAME-VERSION-BUILD.json` for each package of an environment.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use diaphane_forks::ProcessLock;
use serde::Deserialize;

use super::{Manager, Package, is_library};

#[derive(Deserialize)]
struct Record {
    name: String,
    version: String,
    #[serde(default)]
    files: Vec<String>,
}

/// The libraries of an environment, relative to it, as its list was when it had last changed.
struct Environment {
    changed: SystemTime,
    files: HashMap<PathBuf, Arc<Package>>,
}

static ENVIRONMENTS: ProcessLock<HashMap<PathBuf, Environment>> =
    ProcessLock::new(Default::default);

pub(super) fn owner(library: &Path) -> Option<Arc<Package>> {
    let prefix = library
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("conda-meta").is_dir())?;
    let list = prefix.join("conda-meta");
    let changed = fs::metadata(&list)
        .and_then(|about| about.modified())
        .ok()?;
    let mut environments = ENVIRONMENTS.lock();
    let is_fresh = |known: &Environment| known.changed == changed;
    if !environments.get(prefix).is_some_and(is_fresh) {
        let files = read(&list);
        environments.insert(prefix.to_owned(), Environment { changed, files });
    }
    let files = &environments.get(prefix)?.files;
    files.get(library.strip_prefix(prefix).ok()?).cloned()
}

fn read(list: &Path) -> HashMap<PathBuf, Arc<Package>> {
    let entries = fs::read_dir(list).into_iter().flatten().flatten();
    let records = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter_map(|path| serde_json::from_slice::<Record>(&fs::read(path).ok()?).ok());
    let mut files = HashMap::new();
    for record in records {
        let package = Arc::new(Package {
            name: record.name,
            version: record.version,
            manager: Manager::Conda,
        });
        let libraries = record.files.into_iter().filter(|file| is_library(file));
        files.extend(libraries.map(|file| (file.into(), Arc::clone(&package))));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_names_the_owner() {
        let prefix = tempfile::tempdir().unwrap();
        let list = prefix.path().join("conda-meta");
        fs::create_dir_all(&list).unwrap();
        let record = r#"{"name": "libfoo", "version": "1.2", "build": "h0", "files": ["lib/libfoo.so.1", "a.txt"]}"#;
        fs::write(list.join("libfoo-1.2-h0.json"), record).unwrap();
        fs::write(list.join("broken.json"), "{").unwrap();
        let package = owner(&prefix.path().join("lib/libfoo.so.1")).unwrap();
        assert_eq!((&*package.name, &*package.version), ("libfoo", "1.2"));
        assert_eq!(package.manager, Manager::Conda);
        assert_eq!(owner(&prefix.path().join("a.txt")), None);
        assert_eq!(owner(&prefix.path().join("lib/libbar.so.1")), None);
    }
}
