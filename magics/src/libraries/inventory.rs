//! All that is known about each loaded library. What cannot change while a library is loaded is found once.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use diaphane_forks::{ForkOnce, ProcessLock};
use diaphane_sight::Result;
use diaphane_sight::code::file;
use diaphane_sight::code::symbols::Source;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use diaphane_sight::linker::search;
use diaphane_sight::linker::search::{Rule, Rules};
use diaphane_sight::packages::{self, Package};
use diaphane_sight::runtimes::pool_libraries;
use diaphane_sight::runtimes::pool_libraries::Runtime;

use diaphane_cpython::extensions::Declared;
use pyo3::prelude::*;

use crate::error::Error;
use crate::libraries::names::short;
use crate::session::import_audit;
use crate::session::import_audit::Load;
use crate::session::journal::{self, Came, Image};

/// One loaded library.
#[derive(Debug)]
pub(crate) struct LibraryEntry {
    pub facts: Library,
    pub fixed: Arc<Fixed>,
    /// The index of the library for which the linker loaded it.
    pub requester: Option<usize>,
    /// By which rule the linker found it.
    pub rule: Option<Rule>,
    /// The Python code that asked for it.
    pub load: Option<Arc<Load>>,
    /// When it came, and in which cell.
    pub came: Option<Came>,
    /// What it declares as an extension module.
    pub declared: Option<Declared>,
}

/// What stays as it is while a library is loaded.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub package: Option<Arc<Package>>,
    /// The version of what is loaded; unknown if the package was asked for only after the file had been replaced.
    pub package_version: Option<String>,
    pub version: Option<String>,
    pub symbols: Source,
    pub runtime: Option<&'static Runtime>,
    pub architecture: Option<String>,
    /// What it computes for others: `blas`, `lapack`.
    pub provides: Vec<&'static str>,
    fast_math: ForkOnce<bool>,
}

impl LibraryEntry {
    /// The cell in which it came.
    pub fn cell(&self) -> Option<u32> {
        self.came?.cell?.number()
    }

    /// The package with its version, as one text.
    pub fn origin(&self) -> Option<String> {
        let package = &self.fixed.package.as_ref()?.name;
        Some(match &self.fixed.package_version {
            Some(version) => format!("{package} {version}"),
            None => package.clone(),
        })
    }

    /// Who brought it into the process, in a few words.
    pub fn loaded_by(&self, all: &[LibraryEntry]) -> Option<String> {
        let needed = |index: usize| format!("needed by {}", short(&all[index].facts.name));
        let import = |module: &str| format!("import {module}");
        let asked = || {
            let load = self.load.as_ref()?;
            Some(match load.means {
                import_audit::Means::Import => import(load.chain.first().unwrap_or(&load.what)),
                import_audit::Means::Ctypes => "ctypes".into(),
            })
        };
        let declared = || Some(import(&self.declared.as_ref()?.module));
        self.requester.map(needed).or_else(asked).or_else(declared)
    }

    /// Whether GCC's start-up code for `-ffast-math` is in it, as far as its file has names.
    pub fn starts_fast_math(&self) -> bool {
        let look = || {
            let path = self.facts.path.as_deref().filter(|_| !self.facts.deleted);
            path.is_some_and(|path| file::names(Path::new(path), "set_fast_math"))
        };
        *self.fixed.fast_math.get_or_init(look)
    }

    /// The name under which Python imported it.
    pub fn module(&self) -> Option<&str> {
        let load = self.load.as_ref();
        let imported = load.filter(|load| load.means == import_audit::Means::Import);
        let declared = || Some(self.declared.as_ref()?.module.as_str());
        imported.map(|load| load.what.as_str()).or_else(declared)
    }

    /// The rule by which the linker found it, in a few words.
    pub fn found_by(&self) -> Option<String> {
        Some(match self.rule.as_ref()? {
            Rule::Rpath(whose) => format!("RPATH of {}", short(whose)),
            Rule::Runpath(whose) => format!("RUNPATH of {}", short(whose)),
            other => other.to_string(),
        })
    }

    /// The path, or the name of what has none.
    pub fn path(&self) -> &str {
        self.facts.path.as_deref().unwrap_or(&self.facts.name)
    }
}

/// How the libraries hang together, for as long as the linker counts no change.
#[derive(Debug, Default)]
struct InventoryCache {
    counters: Counters,
    fixed: HashMap<Image, Arc<Fixed>>,
    requesters: Vec<Option<usize>>,
    rules: Vec<Option<Rule>>,
}

static KNOWN: ProcessLock<InventoryCache> = ProcessLock::new(Default::default);

/// Looks at all libraries.
pub(crate) fn all(declared: &HashMap<String, Declared>) -> Result<Vec<LibraryEntry>> {
    journal::observe();
    let loaded = libraries::now()?;
    let mut known = KNOWN.lock();
    known.renew(&loaded);
    let items = loaded
        .into_iter()
        .enumerate()
        .map(|(index, facts)| LibraryEntry {
            fixed: known.fixed(&facts),
            requester: known.requesters.get(index).copied().flatten(),
            rule: known.rules.get(index).cloned().flatten(),
            load: import_audit::load_of(&facts),
            came: journal::library(&facts),
            declared: declared
                .get(facts.path.as_deref().unwrap_or_default())
                .cloned(),
            facts,
        });
    Ok(items.collect())
}

fn image(library: &Library) -> Image {
    (library.image.bias(), library.linker_name.clone())
}

impl InventoryCache {
    fn renew(&mut self, loaded: &[Library]) {
        let counters = link_map::counters();
        if counters == self.counters && self.rules.len() == loaded.len() {
            return;
        }
        let here: HashSet<Image> = loaded.iter().map(image).collect();
        self.fixed.retain(|image, _| here.contains(image));
        self.requesters = search::requesters(loaded);
        self.rules = search::found_by(loaded, &Rules::read());
        self.counters = counters;
    }

    /// A package may be written down after its library was loaded, so one that is unknown is asked for again.
    fn fixed(&mut self, library: &Library) -> Arc<Fixed> {
        let image = image(library);
        let known = self.fixed.get(&image);
        let is_settled = |fixed: &Arc<Fixed>| fixed.package.is_some() || !may_be_packaged(library);
        if let Some(fixed) = known.filter(|fixed| is_settled(fixed)) {
            return Arc::clone(fixed);
        }
        let fixed = Arc::new(look(library));
        self.fixed.insert(image, Arc::clone(&fixed));
        fixed
    }
}

fn may_be_packaged(library: &Library) -> bool {
    let path = library.path.as_deref().unwrap_or_default();
    !library.deleted && path.contains("/site-packages/")
}

fn look(library: &Library) -> Fixed {
    let path = library.path.as_deref().filter(|path| path.starts_with('/'));
    let package = path.and_then(|path| packages::owner(Path::new(path)));
    let current = package.as_ref().filter(|_| !library.deleted);
    let symbols = match path {
        Some(path) if !library.deleted => file::symbols(Path::new(path)),
        _ => Source::None,
    };
    let runtime = pool_libraries::runtime(library);
    let says = runtime.and_then(|runtime| pool_libraries::version(library, runtime));
    Fixed {
        package_version: current.map(|package| package.version.clone()),
        version: says.or_else(|| version(library)),
        architecture: runtime.and_then(|runtime| pool_libraries::corename(library, runtime)),
        provides: provides(library),
        symbols,
        runtime,
        package,
        fast_math: ForkOnce::new(),
    }
}

/// Linear algebra is known by one function of each kind, under the names that it has in Fortran, with 64-bit integers,
/// and in SciPy's wheels. Modules that hand such functions on are no libraries of it.
fn provides(library: &Library) -> Vec<&'static str> {
    const KINDS: [(&str, &str); 2] = [("blas", "dgemm"), ("lapack", "dgetrf")];
    const STEMS: [&str; 7] = [
        "openblas",
        "scipy_openblas",
        "blas",
        "lapack",
        "mkl_rt",
        "blis",
        "flexiblas",
    ];
    let name = library.name.strip_prefix("lib").unwrap_or_default();
    if !STEMS.iter().any(|stem| name.starts_with(stem)) {
        return Vec::new();
    }
    let exports = |function: &str| {
        let names = ["", "scipy_"].into_iter().flat_map(|before| {
            ["_", "_64_", "_64", ""].map(|after| format!("{before}{function}{after}"))
        });
        names.into_iter().any(|name| library.image.exports(&name))
    };
    let kinds = KINDS.into_iter().filter(|(_, function)| exports(function));
    kinds.map(|(kind, _)| kind).collect()
}

/// Libraries that tell their version by the newest one of their symbols.
const BY_SYMBOLS: &[(&str, &str)] = &[
    ("libstdc++", "GLIBCXX_"),
    ("libgomp", "GOMP_"),
    ("libgcc_s", "GCC_"),
    ("libgfortran", "GFORTRAN_"),
    ("libc.so", "GLIBC_"),
];

fn version(library: &Library) -> Option<String> {
    let by_symbols = BY_SYMBOLS
        .iter()
        .find(|(stem, _)| library.name.starts_with(stem))
        .and_then(|(_, family)| newest(&library.image.versions, family));
    by_symbols.or_else(|| number(&library.name))
}

/// The newest of the versions of a family, such as `GLIBCXX_3.4.30`.
pub(crate) fn newest(versions: &[String], family: &str) -> Option<String> {
    let of_family = versions.iter().filter_map(|version| {
        let number = numbers(version.strip_prefix(family)?)?;
        Some((number, version))
    });
    of_family.max().map(|(_, version)| version.clone())
}

/// The numbers of a version, to be compared one by one; `None` if it has other parts.
pub(crate) fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// What stands behind `.so.` in the name of a file.
fn number(name: &str) -> Option<String> {
    let (_, number) = name.rsplit_once(".so.")?;
    numbers(number).map(|_| number.to_owned())
}

/// All loaded libraries with what is known of them.
pub(crate) fn items(py: Python<'_>) -> std::result::Result<Vec<LibraryEntry>, Error> {
    let declared = diaphane_cpython::extensions::declared(py)?;
    Ok(py.detach(|| all(&declared))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_so_by_its_numbers() {
        let all = [
            "GLIBCXX_3.4.9",
            "GLIBCXX_3.4.30",
            "GLIBCXX_LDBL_3.4",
            "CXXABI_9",
        ];
        let all = all.map(str::to_owned);
        assert_eq!(newest(&all, "GLIBCXX_").as_deref(), Some("GLIBCXX_3.4.30"));
        assert_eq!(newest(&all, "GLIBC_"), None);
        assert_eq!(number("libz.so.1.2.13").as_deref(), Some("1.2.13"));
        assert_eq!(number("libz.so"), None);
    }
}
