//! Whether a Python can be embedded by this binary: asked once by the installer, and guessed cheaply at every start.
//!
//! This module runs or reads about a Python from outside; the one that lives in this process is the host's.

mod site;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

use site::Environment;
pub use site::has_package;

/// The minor version whose libpython this binary links, as `3.11`.
pub const BUILT_FOR: &str = env!("DIAPHANE_PYTHON_VERSION");

/// The Python that was chosen at the build; what a command without `--python` means.
pub const BUILT_WITH: &str = env!("DIAPHANE_PYTHON");

/// Where the libpython lies that this binary links.
const LIBPYTHON_DIR: &str = env!("DIAPHANE_LIBPYTHON_DIR");

/// Makes a Python print its [`PythonFacts`].
const FACTS: &str = include_str!("python/facts.py");

/// The oldest IPython whose shell the kernel drives.
const OLDEST_IPYTHON: u32 = 9;

/// What a Python says about itself.
#[derive(Clone, Debug, Deserialize)]
pub struct PythonFacts {
    /// `CPython`, `PyPy`, ...
    pub implementation: String,
    /// The whole version, as `3.11.7`.
    pub version: String,
    /// The minor version, as `3.11`.
    pub minor: String,
    /// `sys.executable`: the program itself, where it was started by a version manager's script.
    pub executable: PathBuf,
    /// `sys.prefix`: the environment's root.
    pub prefix: PathBuf,
    /// Whether this is a virtual environment, or conda's.
    pub environment: bool,
    /// The shared library, where there is one.
    pub libpython: Option<PathBuf>,
    /// How to get the shared library for a Python that was installed in this way.
    pub libpython_remedy: String,
    /// The packages that the kernel imports and this Python does not have.
    pub missing: Vec<String>,
    /// IPython's version, where it is installed.
    pub ipython: Option<String>,
    /// Whether debugpy is installed.
    pub debugger: bool,
}

/// The absolute path of the Python that a user named: a bare name is looked up as the shell does.
///
/// # Errors
/// A sentence for the user.
pub fn find(python: &Path) -> Result<PathBuf> {
    let path = match python.parent() {
        Some(folder) if folder.as_os_str().is_empty() => {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&folders)
                .map(|folder| folder.join(python))
                .find(|path| path.is_file());
            found.ok_or_else(|| anyhow!("there is no {} on PATH; {CHOOSE}", python.display()))?
        }
        _ => python.to_owned(),
    };
    let path = std::path::absolute(path)?;
    ensure_exists(&path)?;
    Ok(path)
}

/// Runs a Python once and says whether this binary can embed it.
///
/// # Errors
/// A sentence for the user.
pub fn check(python: &Path) -> Result<PythonFacts> {
    let facts = ask(python)?;
    verify(python, &facts)?;
    Ok(facts)
}

/// Runs a Python once and says whether it has the packages that the kernel imports.
///
/// # Errors
/// What it lacks, and how to get it.
pub fn check_packages(python: &Path) -> Result<PythonFacts> {
    let facts = ask(python)?;
    verify_packages(&python.display().to_string(), &facts)?;
    Ok(facts)
}

/// What can be known about a Python without running it: an error only where it is sure not to fit.
///
/// # Errors
/// A sentence for the user.
pub fn quick_check(python: &Path) -> Result<()> {
    ensure_exists(python)?;
    match minor_unasked(python) {
        Some(minor) if minor != BUILT_FOR => Err(other_version(python, &minor)),
        _ => Ok(()),
    }
}

/// Runs a Python once for the facts, whatever they are.
///
/// # Errors
/// A sentence for the user.
pub fn ask(python: &Path) -> Result<PythonFacts> {
    ensure_exists(python)?;
    let output = Command::new(python).args(["-c", FACTS]).output();
    let output = output.with_context(|| format!("{} cannot be run; {CHOOSE}", python.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let last_line = complaint
            .trim()
            .lines()
            .last()
            .unwrap_or("it said nothing")
            .to_owned();
        anyhow!(
            "{} does not work as a Python ({last_line}); {CHOOSE}",
            python.display()
        )
    })
}

const CHOOSE: &str = "choose another one by --python PATH";

fn ensure_exists(python: &Path) -> Result<()> {
    ensure!(
        python.is_file(),
        "there is no Python at {}; {CHOOSE}",
        python.display()
    );
    Ok(())
}

fn verify(python: &Path, facts: &PythonFacts) -> Result<()> {
    let PythonFacts {
        implementation,
        version,
        ..
    } = facts;
    if implementation != "CPython" {
        bail!(
            "{} is {implementation} {version}, and diaphane embeds CPython; {CHOOSE}",
            python.display()
        );
    }
    if facts.minor != BUILT_FOR {
        return Err(other_version(python, version));
    }
    let libpython = facts.libpython.as_deref().ok_or_else(|| {
        let remedy = &facts.libpython_remedy;
        anyhow!(
            "{} has no shared libpython, which diaphane embeds; {remedy}",
            python.display()
        )
    })?;
    if !lies_in(libpython, Path::new(LIBPYTHON_DIR)) {
        bail!(
            "{python} uses {}, but this diaphane was built for the one in {LIBPYTHON_DIR}; {}",
            libpython.display(),
            build_for(python),
            python = python.display()
        );
    }
    verify_packages(&python.display().to_string(), facts)
}

fn verify_packages(python: &str, facts: &PythonFacts) -> Result<()> {
    let missing = facts.missing.join(" ");
    ensure!(
        missing.is_empty(),
        "{python} lacks {missing}; run: {python} -m pip install {missing}"
    );
    let ipython = facts.ipython.as_deref().unwrap_or("of an unknown version");
    ensure!(
        major(ipython) >= Some(OLDEST_IPYTHON),
        "{python} has IPython {ipython}, and diaphane needs {OLDEST_IPYTHON} or newer; \
         run: {python} -m pip install --upgrade ipython"
    );
    Ok(())
}

fn other_version(python: &Path, version: &str) -> Error {
    anyhow!(
        "{} is Python {version}, but this diaphane was built for Python {BUILT_FOR}; {}",
        python.display(),
        build_for(python)
    )
}

fn build_for(python: &Path) -> String {
    format!(
        "build it anew by ./install.sh --python {}",
        python.display()
    )
}

fn lies_in(library: &Path, directory: &Path) -> bool {
    let parent = library
        .canonicalize()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    parent.is_some() && parent == directory.canonicalize().ok()
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// The minor version that a virtual environment's own file names, else the one in the program's real name.
fn minor_unasked(python: &Path) -> Option<String> {
    let environment = Environment::of(python);
    // `version` is venv's name for it; virtualenv and uv write `version_info`.
    let version = environment
        .as_ref()
        .and_then(|environment| environment.value(&["version", "version_info"]));
    version.and_then(minor).or_else(|| {
        let program = python.canonicalize().ok()?;
        minor(program.file_name()?.to_str()?.strip_prefix("python")?)
    })
}

/// `3.11` of `3.11.7.final.0`; nothing where the text is not a version.
fn minor(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let is_number = |part: &str| part.parse::<u32>().is_ok();
    (is_number(major) && is_number(minor)).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
pub(crate) mod tests;
