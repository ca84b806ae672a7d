//! Where the dynamic linker looks for a library of a name, and by which of its rules it found one that is loaded.
//!
//! The rules are those of ld.so(8), applied again to what the ELF images say and to the environment that the process
//! was started with; a change of `LD_LIBRARY_PATH` after the start has no effect, neither there nor here.

mod cache;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

pub use cache::Cache;

use crate::linker::libraries::{Library, LibraryKind};

/// Why the linker took a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The name held a slash, so nothing was searched.
    Path,
    /// The old search path of an image, which its own children inherit.
    Rpath(String),
    /// The search path of an image for what it needs itself.
    Runpath(String),
    /// The environment variable `LD_LIBRARY_PATH`.
    LibraryPath,
    /// `LD_PRELOAD` names it.
    Preload,
    /// The list that `ldconfig` writes.
    Cache,
    /// The folders that need no mention.
    Default,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path => out.write_str("path"),
            Self::Rpath(whose) => write!(out, "RPATH of {whose}"),
            Self::Runpath(whose) => write!(out, "RUNPATH of {whose}"),
            Self::LibraryPath => out.write_str("LD_LIBRARY_PATH"),
            Self::Preload => out.write_str("LD_PRELOAD"),
            Self::Cache => out.write_str("ld.so.cache"),
            Self::Default => out.write_str("default path"),
        }
    }
}

/// One file that the linker tries, in its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The file.
    pub path: PathBuf,
    /// Why it is tried.
    pub rule: Rule,
}

/// An image that needs others.
#[derive(Debug, Clone, Default)]
pub struct Requester {
    /// Its file name.
    pub name: String,
    /// The folder that it lies in, which is its `$ORIGIN`.
    pub folder: PathBuf,
    /// Its old search path.
    pub rpath: Option<String>,
    /// Its search path.
    pub runpath: Option<String>,
}

impl Requester {
    /// A library that is loaded.
    pub fn of(library: &Library) -> Self {
        let path = library.path.as_deref().unwrap_or(&library.linker_name);
        Self {
            name: library.name.clone(),
            folder: Path::new(path).parent().unwrap_or(Path::new("")).to_owned(),
            rpath: library.image.rpath.clone(),
            runpath: library.image.runpath.clone(),
        }
    }
}

/// What holds for all searches of this process.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The folders of `LD_LIBRARY_PATH` when the process was started.
    pub library_path: Vec<PathBuf>,
    preload: Vec<String>,
    cache: Arc<Cache>,
    defaults: Vec<PathBuf>,
}

impl Rules {
    /// Reads them.
    pub fn read() -> Self {
        let list = |name: &str, separators: &[char]| -> Vec<String> {
            let value = started_with(name).unwrap_or_default();
            let parts = value.split(separators).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let library_path = list("LD_LIBRARY_PATH", &[':', ';']);
        Self {
            library_path: library_path.into_iter().map(PathBuf::from).collect(),
            preload: list("LD_PRELOAD", &[':', ' ']),
            cache: Cache::of_this_machine(),
            defaults: default_folders(),
        }
    }

    /// The files that the linker tries for a name that an image needs, in its order. The image stands first in the
    /// chain; behind it those that brought it, and the program at the end.
    pub fn attempts(&self, name: &str, chain: &[Requester]) -> Vec<Attempt> {
        if name.contains('/') {
            let path = name.into();
            return vec![Attempt {
                path,
                rule: Rule::Path,
            }];
        }
        let mut folders: Vec<(PathBuf, Rule)> = Vec::new();
        let own = chain.first();
        if own.is_none_or(|own| own.runpath.is_none()) {
            for image in chain.iter().filter(|image| image.runpath.is_none()) {
                let list = expand(image.rpath.as_deref(), &image.folder);
                folders.extend(list.map(|folder| (folder, Rule::Rpath(image.name.clone()))));
            }
        }
        let variable = self.library_path.iter().cloned();
        folders.extend(variable.map(|folder| (folder, Rule::LibraryPath)));
        if let Some(own) = own {
            let list = expand(own.runpath.as_deref(), &own.folder);
            folders.extend(list.map(|folder| (folder, Rule::Runpath(own.name.clone()))));
        }
        let in_folders = folders.into_iter().flat_map(|(folder, rule)| {
            files_in(&folder, name).map(move |path| Attempt {
                path,
                rule: rule.clone(),
            })
        });
        let cached = self.cache.paths(name).map(|path| Attempt {
            path: path.into(),
            rule: Rule::Cache,
        });
        let defaults = self.defaults.iter().map(|folder| Attempt {
            path: folder.join(name),
            rule: Rule::Default,
        });
        in_folders.chain(cached).chain(defaults).collect()
    }

    /// The names that the linker's list on disk has for a library, in any of its versions.
    pub fn cached_like<'a>(&'a self, stem: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.cache.like(stem)
    }

    fn is_preloaded(&self, library: &Library) -> bool {
        self.preload.iter().any(|entry| {
            *entry == library.linker_name || *entry == library.name || is_same(entry, library)
        })
    }
}

/// The library that made the linker load each one: the first one before it that needs its name.
pub fn requesters(libraries: &[Library]) -> Vec<Option<usize>> {
    let first = |index: usize| {
        let library = &libraries[index];
        let goes_by =
            |name: &String| *name == library.name || Some(name) == library.image.soname.as_ref();
        libraries[..index]
            .iter()
            .position(|other| other.image.needed.iter().any(goes_by))
    };
    (0..libraries.len()).map(first).collect()
}

/// Who is asked for a search path on behalf of a library: itself, those that brought it, and the program.
pub fn chain(libraries: &[Library], requesters: &[Option<usize>], index: usize) -> Vec<Requester> {
    let up = std::iter::successors(Some(index), |&index| requesters[index]);
    let mut chain: Vec<Requester> = up.map(|index| Requester::of(&libraries[index])).collect();
    chain.extend(libraries.first().map(Requester::of));
    chain
}

/// By which rule each library was found; `None` where nobody is known to have asked for it by a name.
pub fn found_by(libraries: &[Library], rules: &Rules) -> Vec<Option<Rule>> {
    let requesters = requesters(libraries);
    let rule = |index: usize| {
        let library = &libraries[index];
        match library.kind {
            LibraryKind::Program | LibraryKind::Vdso | LibraryKind::Loader => return None,
            _ if rules.is_preloaded(library) => return Some(Rule::Preload),
            // `import` hands the linker a whole path.
            LibraryKind::Extension if requesters[index].is_none() => return Some(Rule::Path),
            _ => {}
        }
        let requester = requesters[index]?;
        let asked = libraries[requester].image.needed.iter();
        let name = asked
            .clone()
            .find(|name| Some(*name) == library.image.soname.as_ref())
            .or_else(|| asked.clone().find(|name| **name == library.name))?;
        let attempts = rules.attempts(name, &chain(libraries, &requesters, requester));
        let hit = attempts
            .into_iter()
            .find(|attempt| is_same(&attempt.path, library))?;
        Some(hit.rule)
    };
    (0..libraries.len()).map(rule).collect()
}

/// Whether a path is the file of a library, be it by another name.
pub fn is_same(path: impl AsRef<Path>, library: &Library) -> bool {
    let path = path.as_ref();
    let Some(own) = library.path.as_deref() else {
        return false;
    };
    if path == Path::new(own) || path == Path::new(&library.linker_name) {
        return true;
    }
    let identity = |path: &Path| {
        let about = fs::metadata(path).ok()?;
        Some((about.dev(), about.ino()))
    };
    path.file_name().is_some()
        && identity(path).is_some_and(|found| Some(found) == identity(Path::new(own)))
}

/// The value of a variable when the process was started.
pub fn started_with(variable: &str) -> Option<String> {
    let environment = fs::read("/proc/self/environ").ok()?;
    let mut entries = environment.split(|&byte| byte == 0);
    entries.find_map(|entry| {
        let entry = String::from_utf8_lossy(entry);
        let (name, value) = entry.split_once('=')?;
        (name == variable).then(|| value.to_owned())
    })
}

/// The folders of a search path with its variables filled in.
fn expand<'a>(list: Option<&'a str>, origin: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let parts = list.unwrap_or_default().split(':');
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(move |part| {
        let mut part = part.to_owned();
        let values = [
            ("ORIGIN", origin.to_string_lossy().into_owned()),
            ("LIB", lib_folder()),
            ("PLATFORM", std::env::consts::ARCH.to_owned()),
        ];
        for (name, value) in values {
            part = part.replace(&format!("${{{name}}}"), &value);
            part = part.replace(&format!("${name}"), &value);
        }
        part.into()
    })
}

/// A folder may have faster variants for newer processors, which are tried first.
fn files_in<'a>(folder: &'a Path, name: &'a str) -> impl Iterator<Item = PathBuf> + use<> {
    let variants: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["x86-64-v4", "x86-64-v3", "x86-64-v2"],
        _ => &[],
    };
    let faster = folder.join("glibc-hwcaps");
    let variants = if faster.is_dir() { variants } else { &[] };
    let faster: Vec<PathBuf> = variants
        .iter()
        .map(|variant| faster.join(variant).join(name))
        .collect();
    faster.into_iter().chain([folder.join(name)])
}

/// Debian's folder for this processor's libraries, where there is one.
fn multiarch() -> Option<String> {
    let folder = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    Path::new("/").join(&folder).is_dir().then_some(folder)
}

fn lib_folder() -> String {
    multiarch().unwrap_or_else(|| "lib64".into())
}

fn default_folders() -> Vec<PathBuf> {
    let multiarch = multiarch();
    let names = multiarch.iter().map(String::as_str).chain(["lib64", "lib"]);
    names
        .flat_map(|name| [format!("/{name}").into(), format!("/usr/{name}").into()])
        .collect()
}

#[cfg(test)]
mod tests;
