//! The second door: the kernel, its command line and the magics as an extension module of any CPython.

mod guest;

use std::ffi::{CString, OsString};
use std::path::{Path, PathBuf};

use clap::{Parser as _, Subcommand};
use diaphane::cli::{self, Command, CommandLine, KernelArgs, say};
use diaphane::door::{self, Opening};
use diaphane::host;
use diaphane::install::Started;
use pyo3::prelude::*;

/// What only a Python that runs us can do.
#[derive(Subcommand)]
enum Own {
    /// Run the kernel; Jupyter does this.
    Kernel(KernelArgs),
    /// Let a Python that runs already answer `diaphane ask -k PID` (CPython 3.14 and later).
    Attach {
        /// The process.
        pid: i32,
    },
    /// Run a program, and tell at its end what a recording saw of it.
    Run(RunArgs),
}

#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    what: What,
    /// Write the report as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as an HTML page too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Run a module, as `python -m` does; the first word is its name.
    #[arg(short = 'm', long)]
    module: bool,
    /// The program, and behind it all that it is to get; options of ours stand before it.
    #[arg(
        value_name = "SCRIPT",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true
    )]
    program: Vec<OsString>,
}

/// What is looked at; without a word its time.
#[derive(clap::Args)]
#[group(multiple = false)]
struct What {
    /// Where its time goes, in Python and in native code.
    #[arg(long)]
    native_prof: bool,
    /// Which native functions it calls.
    #[arg(long)]
    native_calls: bool,
    /// Which libraries are loaded for it.
    #[arg(long)]
    trace_loads: bool,
    /// Which system calls it makes.
    #[arg(long)]
    syscalls: bool,
    /// What is remarkable in the process at its end; nothing is recorded.
    #[arg(long)]
    doctor: bool,
}

impl What {
    /// The name of the magic.
    fn magic(&self) -> &'static str {
        match self {
            Self { doctor: true, .. } => "native_doctor",
            Self { syscalls: true, .. } => "syscalls",
            Self {
                trace_loads: true, ..
            } => "trace_loads",
            Self {
                native_calls: true, ..
            } => "native_calls",
            _ => "native_prof",
        }
    }
}

/// The module `diaphane._diaphane`.
#[pymodule]
mod _diaphane {
    use std::path::PathBuf;

    #[pymodule_export]
    use super::guest::{
        Listening, StandIns, ToldFaults, listening, open_socket, stand_in, tell_of_faults,
    };

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        diaphane_magics::came_as_package();
        diaphane::host::fill(module)
    }

    /// Runs the command line, with the words behind the program's name, in the Python of this path. The exit code.
    #[pyfunction]
    fn main(py: Python<'_>, words: Vec<String>, python: PathBuf) -> PyResult<u8> {
        super::main(py, words, &python)
    }
}

fn main(py: Python<'_>, words: Vec<String>, python: &Path) -> PyResult<u8> {
    let words = std::iter::once("diaphane".to_owned()).chain(words);
    let command = match CommandLine::try_parse_from(words) {
        Ok(line) => line.command,
        Err(error) => {
            // Where there is nobody to read, nothing can be said.
            let _unread = error.print();
            return Ok(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let done = match command {
        Command::Own(Own::Kernel(args)) => run(py, &args, python)?,
        Command::Own(Own::Attach { pid }) => attach(py, pid),
        Command::Own(Own::Run(args)) => return run_program(py, args),
        Command::Common(common) => py.detach(|| common.run(Started::Module(python))),
    };
    Ok(cli::finish(done))
}

/// Lets the guest be loaded there. Python alone can ask for that.
fn attach(py: Python<'_>, pid: i32) -> anyhow::Result<()> {
    let attached = py
        .import("diaphane.attach")
        .and_then(|module| module.call_method1("attach", (pid,)));
    attached.map_err(|error| anyhow::Error::msg(error.value(py).to_string()))?;
    say(&format!(
        "process {pid} answers: diaphane ask -k {pid} stack"
    ))
}

/// Runs a program of the user's in this Python. Its exit code.
fn run_program(py: Python<'_>, args: RunArgs) -> PyResult<u8> {
    let run = py.import("diaphane.program")?.getattr("run")?;
    let magic = args.what.magic();
    let code = run.call1((args.program, magic, args.module, args.json, args.html))?;
    code.extract()
}

/// Runs the kernel in this process until somebody ends it; then the process is gone.
fn run(py: Python<'_>, args: &KernelArgs, python: &Path) -> PyResult<anyhow::Result<()>> {
    let find = py.import("importlib.util")?.getattr("find_spec")?;
    let sys = py.import("sys")?;
    let file = args.connection_file.as_os_str();
    sys.setattr("argv", vec!["diaphane".as_ref(), "-f".as_ref(), file])?;
    let version = Python::version_str()
        .split_whitespace()
        .next()
        .unwrap_or_default();
    let opening = Opening {
        connection_file: &args.connection_file,
        python_version: version,
        debugger: !find.call1(("debugpy",))?.is_none(),
        command: own_command(py, python)?,
        command_folder: python.parent().unwrap_or(Path::new("")),
        arguments: &args.ipython,
    };
    Ok(door::run(opening, |kernel, options| {
        host::serve(py, kernel, options)
    }))
}

/// The words by which this Python runs our command line with nothing but its standard library and this module's file.
fn own_command(py: Python<'_>, python: &Path) -> PyResult<Vec<CString>> {
    let file = py.import("diaphane._diaphane")?.getattr("__file__")?;
    let file: String = file.repr()?.extract()?;
    let code = format!(
        "import sys\n\
         from importlib.util import module_from_spec, spec_from_file_location\n\
         spec = spec_from_file_location('diaphane._diaphane', {file})\n\
         module = module_from_spec(spec)\n\
         spec.loader.exec_module(module)\n\
         sys.exit(module.main(sys.argv[1:], sys.executable))"
    );
    let python = python.as_os_str().as_encoded_bytes();
    let words = [python, b"-I", b"-S", b"-c", code.as_bytes()];
    let word = |word: &[u8]| CString::new(word).unwrap_or_default();
    Ok(words.map(word).to_vec())
}
