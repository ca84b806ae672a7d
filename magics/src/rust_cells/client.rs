//! The compiler's process: started with the first Rust cell, asked on its standard input, heard on its standard output.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use diaphane_forks::{ForkOnce, ProcessLock, ProcessLockGuard};
use diaphane_rust_protocol::{Answer, Found, Look, Question};
use diaphane_sight::threads::OwnThread;
use diaphane_sight::unwind::leave_signals;
use parking_lot::Mutex;
use pyo3::prelude::*;

use super::compiler_output::CompilerOutput;
use super::progress::Progress;
use crate::error::Error;
use crate::session::door;

/// The name of the compiler's program.
const PROGRAM: &str = "diaphane-rust";
/// So often a waiting thread looks whether the user has interrupted.
const TIMEOUT: Duration = Duration::from_millis(20);
/// So long a cancelled build may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// So long somebody who writes a cell waits. JupyterLab waits for a second.
const MOMENT: Duration = Duration::from_millis(800);

/// The compiler of this process.
static COMPILER: ProcessLock<Option<Compiler>> = ProcessLock::new(|| None);

/// A running compiler.
struct Compiler {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
    /// The process that started it. Its children by `fork` have to start their own.
    process: u32,
    /// What it says meanwhile.
    output: CompilerOutput,
    /// Whether an answer is still to come that nobody waits for.
    unheard: bool,
}

/// Asks, and waits for the answer while Python's other threads run. An interrupt cancels.
pub fn ask(
    py: Python<'_>,
    question: &Question,
    mut progress: Progress<'_>,
) -> Result<Answer, Error> {
    let mut compiler = lock(py)?;
    let asked = match begun(&mut compiler) {
        Ok(running) => running.ask(py, question, &mut progress),
        Err(error) => Err(error),
    };
    progress.end()?;
    let is_useless = |running: &Compiler| {
        running.unheard || matches!(asked, Err(Error::Usage(_) | Error::Report(_)))
    };
    if compiler.as_ref().is_some_and(is_useless) {
        // What it would answer now belongs to nobody.
        if let Some(mut gone) = compiler.take() {
            let _ = gone.child.kill();
            let _ = gone.child.wait();
        }
    }
    asked
}

/// Asks what is known about a place of a cell, and gives what is known within a moment: a front end waits for this. While
/// another thread has something compiled, nothing is known.
pub fn look(py: Python<'_>, question: Look) -> Result<Option<Found>, Error> {
    let Some(mut compiler) = COMPILER.try_lock() else {
        return Ok(None);
    };
    let number = question.number;
    let asked = begun(&mut compiler).and_then(|running| {
        running.say(py, &Question::Look(question))?;
        running.hear_found(py, number)
    });
    match asked {
        Err(Error::Usage(_) | Error::Report(_)) => {
            // Whoever runs a cell is told why there is no compiler; who writes one is not disturbed.
            if let Some(mut gone) = compiler.take() {
                let _ = gone.child.kill();
                let _ = gone.child.wait();
            }
            Ok(None)
        }
        asked => asked,
    }
}

/// The compiler, when no other thread asks it. Whoever has it may wait for the GIL, so the GIL is not held meanwhile.
fn lock(py: Python<'_>) -> Result<ProcessLockGuard<'static, Option<Compiler>>, Error> {
    loop {
        if let Some(compiler) = COMPILER.try_lock() {
            return Ok(compiler);
        }
        py.detach(|| thread::sleep(TIMEOUT));
        py.check_signals()?;
    }
}

/// Whether there is a compiler to ask without starting one.
pub fn is_running() -> bool {
    COMPILER
        .try_lock()
        .is_none_or(|compiler| compiler.as_ref().is_some_and(Compiler::is_ours))
}

fn begun(compiler: &mut Option<Compiler>) -> Result<&mut Compiler, Error> {
    if !compiler.as_ref().is_some_and(Compiler::is_ours) {
        *compiler = None;
    }
    match compiler {
        Some(running) => Ok(running),
        None => Ok(compiler.insert(Compiler::start()?)),
    }
}

/// Where the compiler's program is.
fn program() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("DIAPHANE_RUST").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Error::Usage(format!(
                "%%rust: DIAPHANE_RUST is {}, where no program is",
                path.display()
            )))
        };
    }
    let found = folders()
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        let beside = folders().next().unwrap_or_default().join(PROGRAM);
        Error::Usage(format!(
            "%%rust: the compiler of Rust cells is not installed: {} is missing; \
             {}, or set DIAPHANE_RUST to its path",
            beside.display(),
            how_to_install()
        ))
    })
}

/// How the compiler that belongs to this kernel is had.
fn how_to_install() -> String {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    match door::is_package() {
        true => format!(
            "install the wheel of this version, pip install diaphane_rust-{VERSION}-*.whl (with an \
             index that has it: pip install 'diaphane[rust]')"
        ),
        false => "run ./install.sh again".to_owned(),
    }
}

/// The Python whose packages are used; its programs lie beside.
static PYTHON: ForkOnce<PathBuf> = ForkOnce::new();

/// Says where the programs of Python's packages lie.
pub(crate) fn look_beside(python: PathBuf) {
    PYTHON.get_or_init(|| python);
}

/// Where the compiler may lie: beside the program of this process, beside Python, or on the path.
fn folders() -> impl Iterator<Item = PathBuf> {
    // The kernel runs under Python's name, so its file is asked.
    let programs = [env::current_exe().ok(), PYTHON.get().cloned()];
    let beside = programs.into_iter().flatten();
    let beside = beside.filter_map(|program| Some(program.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_default();
    beside.chain(env::split_paths(&path).collect::<Vec<_>>())
}

impl Compiler {
    fn start() -> Result<Self, Error> {
        let program = program()?;
        let no_output = |error| Error::Usage(format!("%%rust: no memory for its output: {error}"));
        let output = CompilerOutput::new().map_err(no_output)?;
        let writer = output.writer().map_err(no_output)?;
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(writer)
            // An interrupt of the terminal is the kernel's.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                Error::Usage(format!(
                    "%%rust: {} does not start: {error}",
                    program.display()
                ))
            })?;
        let lost = || Error::Usage("%%rust: the compiler has no pipes".to_owned());
        let questions = child.stdin.take().ok_or_else(lost)?;
        let replies = child.stdout.take().ok_or_else(lost)?;
        let (sender, answers) = channel();
        read(replies, sender)?;
        Ok(Self {
            child,
            questions,
            answers,
            process: std::process::id(),
            output,
            unheard: false,
        })
    }

    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    fn ask(
        &mut self,
        py: Python<'_>,
        question: &Question,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Error> {
        self.say(py, question)?;
        loop {
            match self.hear(py, TIMEOUT)? {
                // It belongs to somebody who no longer waits.
                Some(Answer::Found(_)) => continue,
                Some(answer) => {
                    // Words that cannot be forgotten are an old line for a moment. One that has just begun may be saying
                    // why it ends, so they are not forgotten before.
                    let _ = self.output.forget();
                    return Ok(answer);
                }
                None => {}
            }
            let shown = self
                .output
                .work()
                .map_or(Ok(()), |work| progress.show(work));
            if let Err(interrupt) = shown.and_then(|()| py.check_signals()) {
                self.say(py, &Question::Cancel)?;
                self.unheard = !self.hear_end(py)?;
                return Err(interrupt.into());
            }
        }
    }

    /// Waits for the answer of what was cancelled, and tells whether it came.
    fn hear_end(&mut self, py: Python<'_>) -> Result<bool, Error> {
        let began = Instant::now();
        while let Some(left) = GRACE.checked_sub(began.elapsed()) {
            match self.hear(py, left)? {
                Some(Answer::Found(_)) => {}
                answer => return Ok(answer.is_some()),
            }
        }
        Ok(false)
    }

    /// The best of the answers about a place that come within a moment.
    fn hear_found(&mut self, py: Python<'_>, number: u64) -> Result<Option<Found>, Error> {
        let began = Instant::now();
        let mut best = None;
        while let Some(left) = MOMENT.checked_sub(began.elapsed()) {
            match self.hear(py, left.min(TIMEOUT))? {
                Some(Answer::Found(found)) if found.number == number => {
                    let is_all = found.is_all;
                    best = Some(found);
                    if is_all {
                        break;
                    }
                }
                _ => py.check_signals()?,
            }
        }
        Ok(best)
    }

    fn say(&mut self, py: Python<'_>, question: &Question) -> Result<(), Error> {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        let said = self.questions.write_all(line.as_bytes());
        said.map_err(|_| self.ended(py))
    }

    /// The next answer, if it comes in time.
    fn hear(&mut self, py: Python<'_>, time: Duration) -> Result<Option<Answer>, Error> {
        let answers = Mutex::new(&mut self.answers);
        let heard = py.detach(|| answers.lock().recv_timeout(time));
        match heard {
            Ok(line) => serde_json::from_str(&line)
                .map(Some)
                .map_err(|_| other_version()),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(py)),
        }
    }

    /// Why there are no more answers.
    fn ended(&mut self, py: Python<'_>) -> Error {
        let mut how = String::new();
        // Its output is closed a moment before it ends.
        for _ in 0..50 {
            if let Ok(Some(status)) = self.child.try_wait() {
                how = format!(" ({status})");
                break;
            }
            py.detach(|| thread::sleep(TIMEOUT));
        }
        let words = match self.output.others() {
            words if words.is_empty() => words,
            words => format!(": {words}"),
        };
        Error::Usage(format!(
            "%%rust: the compiler has ended{how}{words}; the next Rust cell starts it again, without \
             the items of earlier cells"
        ))
    }
}

/// An answer that is not understood was meant for another kernel.
fn other_version() -> Error {
    let program = program().unwrap_or_default();
    Error::Usage(format!(
        "%%rust: {} is of another version than this kernel: {}, and restart the kernel",
        program.display(),
        how_to_install()
    ))
}

/// Reads answers on a thread of its own, as long as somebody takes them.
fn read(pipe: ChildStdout, answers: Sender<String>) -> Result<(), Error> {
    let lines = move || {
        let _own = OwnThread::begin();
        leave_signals();
        for line in BufReader::new(pipe).lines() {
            if !line.is_ok_and(|line| answers.send(line).is_ok()) {
                break;
            }
        }
    };
    let started = thread::Builder::new()
        .name("diaphane-rust".to_owned())
        .spawn(lines);
    started
        .map(drop)
        .map_err(|error| Error::Usage(format!("%%rust: no thread can be started: {error}")))
}
