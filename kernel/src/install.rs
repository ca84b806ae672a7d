//! `diaphane install` and `diaphane uninstall`: one directory with the kernelspec, its logos and, where a program embeds
//! Python, a copy of it; beside it the extension of JupyterLab.
//!
//! The copy makes an installed kernel independent of the build folder. Nothing is built here; see `install.sh`.

mod command;
mod lab;

use crate::python;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use diaphane_sight::proc::open_files::own_program;
use diaphane_wire::spec::{self, KernelSpec, Metadata};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The installed binary's name in the kernelspec's directory.
const BINARY: &str = "diaphane";

/// The compiler of Rust cells, which lies beside the binary if it was built.
const RUST_CELLS: &str = "diaphane-rust";

/// The name of a kernel whose user chose none.
const NAME: &str = "diaphane";

const LOGOS: [(&str, &[u8]); 3] = [
    ("logo-32x32.png", include_bytes!("../logo/logo-32x32.png")),
    ("logo-64x64.png", include_bytes!("../logo/logo-64x64.png")),
    ("logo-svg.svg", include_bytes!("../logo/logo-svg.svg")),
];

/// How the kernel is started that a kernelspec names.
#[derive(Clone, Copy, Debug)]
pub enum Started<'a> {
    /// By a copy of this program, which lies beside the kernelspec.
    Program,
    /// By this Python, which has the kernel among its packages: `python -m diaphane`.
    Module(&'a Path),
}

/// Where a kernelspec lies, and under which name.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Use the user's own Jupyter directory.
    #[arg(long)]
    user: bool,
    /// Use the Python's own environment (the default where it is one; else --user is).
    #[arg(long, conflicts_with = "user")]
    sys_prefix: bool,
    /// Use PREFIX/share/jupyter.
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["user", "sys_prefix"])]
    prefix: Option<PathBuf>,
    /// The Python that the kernel runs [default: the one that this diaphane is for].
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// The kernel's name for `--kernel`.
    #[arg(long, default_value = NAME)]
    name: String,
    /// Only the panel of JupyterLab, as where the server is in another environment than the kernel.
    #[arg(long, conflicts_with = "name")]
    lab_only: bool,
}

/// Install the kernel for one Python.
#[derive(Args, Clone, Debug)]
pub struct InstallArgs {
    #[command(flatten)]
    place: Place,
    /// The kernel's name in menus [default: "Python (diaphane)", with the name where another one is given].
    #[arg(long, conflicts_with = "lab_only")]
    display_name: Option<String>,
}

/// Remove an installed kernel.
#[derive(Args, Clone, Debug)]
pub struct UninstallArgs {
    #[command(flatten)]
    place: Place,
}

/// Installs the kernel for one Python, and returns what to tell the user.
///
/// # Errors
/// When the kernel cannot run that Python, or the place cannot be written.
pub fn install(args: &InstallArgs, started: Started<'_>) -> Result<String> {
    let name = &args.place.name;
    if args.place.lab_only {
        let panel = write_panel(&args.place.data_dir(started)?)?;
        return Ok(format!(
            "Installed the panel of JupyterLab.\n  panel       {panel}"
        ));
    }
    let python = started.python(&args.place)?;
    let facts = match started {
        Started::Program => python::check(&python)?,
        Started::Module(_) => python::check_packages(&python)?,
    };
    let python = &facts.executable;
    let directory = args.place.directory(started)?;
    ensure_free(&directory)?;
    let curve = zmq::has("curve") == Some(true);
    let metadata = Metadata::new(facts.debugger, curve);
    let spec = KernelSpec {
        display_name: args.display_name(),
        ..KernelSpec::new(&started.command(&directory, python)?, metadata)
    };
    write(&directory, &spec, started).with_context(|| {
        format!(
            "cannot write {}; choose a place by --user, --sys-prefix or --prefix PREFIX",
            directory.display()
        )
    })?;
    Ok(format!(
        "Installed \"{}\" as {name}.\n\
         \x20 kernelspec  {}\n\
         \x20 panel       {}\n\
         \x20 command     {}\n\
         \x20 python      {} (CPython {}, IPython {})\n\
         \x20 encryption  {}",
        spec.display_name,
        directory.display(),
        write_panel(&args.place.data_dir(started)?)?,
        started.link(&directory),
        python.display(),
        facts.version,
        facts.ipython.as_deref().unwrap_or("unknown"),
        if curve {
            "CurveZMQ, where the client asks for it"
        } else {
            "none in this build"
        },
    ))
}

/// Removes an installed kernel, and returns what to tell the user.
///
/// # Errors
/// When another kernel lies there, or it cannot be removed.
pub fn uninstall(args: &UninstallArgs, started: Started<'_>) -> Result<String> {
    let data = args.place.data_dir(started)?;
    if args.place.lab_only {
        return Ok(remove_panel(&data)?
            .unwrap_or_else(|| format!("There is no panel in {}.", data.display())));
    }
    let directory = args.place.directory(started)?;
    if !directory.exists() {
        return Ok(format!("There is no kernel in {}.", directory.display()));
    }
    ensure_free(&directory)?;
    command::unlink(&directory);
    fs::remove_dir_all(&directory)
        .with_context(|| format!("cannot remove {}", directory.display()))?;
    let mut said = format!("Removed {}.", directory.display());
    // The panel is of all kernels of the place, and goes with the last one.
    if !lab::is_needed(&data) {
        said.extend(remove_panel(&data)?.map(|panel| format!("\n{panel}")));
    }
    Ok(said)
}

/// Installs the panel, and says where it is.
fn write_panel(data: &Path) -> Result<String> {
    let written = lab::write(data);
    let folder = written.with_context(|| {
        format!(
            "cannot write the panel of JupyterLab into {}; choose a place by --user, --sys-prefix or --prefix PREFIX",
            data.display()
        )
    })?;
    Ok(folder.display().to_string())
}

/// Removes the panel, and says so where there was one.
fn remove_panel(data: &Path) -> Result<Option<String>> {
    let removed = lab::remove(data).with_context(|| {
        format!(
            "cannot remove the panel of JupyterLab from {}",
            data.display()
        )
    })?;
    Ok(removed.map(|folder| format!("Removed {}.", folder.display())))
}

impl Started<'_> {
    /// The Python that the user means.
    fn python(self, place: &Place) -> Result<PathBuf> {
        let own = match self {
            Self::Program => Path::new(python::BUILT_WITH),
            Self::Module(python) => python,
        };
        python::find(place.python.as_deref().unwrap_or(own))
    }

    /// The words by which a client starts it.
    fn command(self, directory: &Path, python: &Path) -> Result<Vec<String>> {
        let python = in_unicode(python)?;
        let program = directory.join(BINARY);
        let words = match self {
            Self::Program => vec![in_unicode(&program)?, "kernel", "--python", python],
            Self::Module(_) => vec![python, "-m", BINARY, "kernel"],
        };
        Ok(words.into_iter().map(str::to_owned).collect())
    }

    /// Links the command for shells, and says where it is. Without it, the kernel is as good.
    fn link(self, directory: &Path) -> String {
        match self {
            Self::Program => command::link(directory).ok().flatten().map_or_else(
                || "none: another program has its name or place".to_owned(),
                |path| path.display().to_string(),
            ),
            Self::Module(_) => format!("python -m {BINARY}"),
        }
    }
}

impl InstallArgs {
    /// Kernels of several names stand side by side in a menu.
    fn display_name(&self) -> String {
        let name = &self.place.name;
        self.display_name
            .clone()
            .unwrap_or_else(|| match name.as_str() {
                NAME => spec::DISPLAY_NAME.to_owned(),
                _ => format!("{} {name}", spec::DISPLAY_NAME),
            })
    }
}

impl Place {
    fn directory(&self, started: Started<'_>) -> Result<PathBuf> {
        // jupyter_client's own rule, and no way out of the kernels' folder.
        let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if !self.name.chars().all(is_valid) || self.name.trim_matches('.').is_empty() {
            bail!(
                "'{}' is no kernel name: use a-z, 0-9, '.', '_' and '-'",
                self.name
            );
        }
        Ok(self.data_dir(started)?.join("kernels").join(&self.name))
    }

    fn data_dir(&self, started: Started<'_>) -> Result<PathBuf> {
        if let Some(prefix) = &self.prefix {
            return Ok(std::path::absolute(prefix)?.join("share/jupyter"));
        }
        if !self.user {
            let facts = python::ask(&started.python(self)?)?;
            if self.sys_prefix || facts.environment {
                return Ok(facts.prefix.join("share/jupyter"));
            }
        }
        user_data_dir(|name| std::env::var_os(name)).ok_or_else(|| {
            anyhow!("HOME is not set, so there is no user's directory; use --prefix PREFIX")
        })
    }
}

/// Where Jupyter keeps the connection files of running kernels, by `jupyter --runtime-dir`'s rules.
#[must_use]
pub fn runtime_dir() -> Option<PathBuf> {
    let named = env::var_os("JUPYTER_RUNTIME_DIR").map(PathBuf::from);
    named.or_else(|| Some(user_data_dir(|name| env::var_os(name))?.join("runtime")))
}

/// The user's Jupyter directory by the rules of `jupyter_core` on Linux.
pub(crate) fn user_data_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    path("JUPYTER_DATA_DIR")
        .or_else(|| path("XDG_DATA_HOME").map(|data| data.join("jupyter")))
        .or_else(|| path("HOME").map(|home| home.join(".local/share/jupyter")))
}

/// Another kernel's directory is never overwritten or removed.
fn ensure_free(directory: &Path) -> Result<()> {
    ensure!(
        is_ours(directory) != Some(false),
        "{} holds another kernel; choose another --name",
        directory.display()
    );
    Ok(())
}

/// Whether the kernel of a directory is one of ours; nothing where there is none.
fn is_ours(directory: &Path) -> Option<bool> {
    let json = fs::read(directory.join(spec::FILE_NAME)).ok()?;
    let spec = serde_json::from_slice(&json);
    Some(spec.is_ok_and(|spec: KernelSpec| spec.starts(BINARY) || spec.runs_module(BINARY)))
}

fn in_unicode(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        anyhow!(
            "{} is not UTF-8, so no kernel.json can name it",
            path.display()
        )
    })
}

/// Writes the spec last, so that what a client lists is complete.
fn write(directory: &Path, spec: &KernelSpec, started: Started<'_>) -> Result<()> {
    fs::create_dir_all(directory)?;
    if let Started::Program = started {
        copy_programs(directory)?;
    }
    for (name, image) in LOGOS {
        replace(&directory.join(name), |path| fs::write(path, image))?;
    }
    let json = serde_json::to_vec_pretty(spec)?;
    replace(&directory.join(spec::FILE_NAME), |path| {
        fs::write(path, &json)
    })?;
    Ok(())
}

/// Copies this program, and the compiler of Rust cells where it lies beside.
fn copy_programs(directory: &Path) -> Result<()> {
    // Not `current_exe`, whose path may by now be another file, or none.
    replace(&directory.join(BINARY), |path| {
        fs::copy(own_program(), path).map(drop)
    })?;
    let compiler = env::current_exe()?.with_file_name(RUST_CELLS);
    if compiler.is_file() {
        replace(&directory.join(RUST_CELLS), |path| {
            fs::copy(&compiler, path).map(drop)
        })?;
    }
    Ok(())
}

/// Puts a new file in an old one's place by renaming it: a running kernel keeps the binary that it started from.
fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new = path.with_added_extension(format!("{}.new", std::process::id()));
    let result = write(&new).and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        // The first error is the one to report; there may be nothing to remove.
        let _ = fs::remove_file(&new);
    }
    result
}

#[cfg(test)]
mod tests;
