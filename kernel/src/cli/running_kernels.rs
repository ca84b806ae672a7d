//! The kernels that run on this machine: of which notebook each is, where, since when, and what it does.
//!
//! A kernel's process says where its connection file is; the server that started it has written the notebook's name into
//! its environment.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::guest_socket;
use crate::io::client;
use anyhow::{Context as _, Result, bail};
use diaphane_sight::proc::programs::{RunningProgram, running};
use diaphane_wire::{Connection, Outgoing};
use serde_json::{Value, json};

/// Jupyter's server names the notebook by this variable.
const NOTEBOOK: &str = "JPY_SESSION_NAME";
/// A kernel that says nothing for so long answers nothing.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A kernel.
pub struct RunningKernel {
    process: RunningProgram,
    pub connection_file: PathBuf,
}

/// All kernels, those that were started last first.
pub fn kernels() -> Vec<RunningKernel> {
    let kernel = |process: RunningProgram| {
        let arguments = &process.arguments;
        arguments
            .iter()
            .any(|word| word == "kernel")
            .then_some(())?;
        let file = arguments
            .iter()
            .enumerate()
            .find_map(|(at, word)| match word.as_str() {
                "-f" | "--connection-file" => arguments.get(at + 1).cloned(),
                word => word.strip_prefix("--connection-file=").map(str::to_owned),
            })?;
        let folder = process.folder.clone().unwrap_or_default();
        let connection_file = folder.join(file);
        Some(RunningKernel {
            process,
            connection_file,
        })
    };
    running("diaphane").into_iter().filter_map(kernel).collect()
}

impl RunningKernel {
    /// The notebook's path as the server knew it when the kernel began.
    fn notebook(&self) -> Option<&str> {
        self.process.variable(NOTEBOOK)
    }

    /// What its connection file is called, without what all have.
    fn id(&self) -> String {
        let stem = self
            .connection_file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        stem.strip_prefix("kernel-").unwrap_or(&stem).to_owned()
    }

    /// How it is called here.
    pub fn name(&self) -> String {
        match self.notebook().and_then(|path| Path::new(path).file_name()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => self.id(),
        }
    }

    /// Its process, since when it runs and where.
    pub fn about(&self) -> String {
        let folder = self.process.folder.as_ref();
        format!(
            "process {}, started {} ago in {}",
            self.process.pid,
            ago(self.process.started),
            folder.map_or("?".into(), |folder| folder.display().to_string())
        )
    }

    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Whether it is the one of this name: a notebook, the beginning of an identity, or a process.
    fn is_called(&self, name: &str) -> bool {
        let is_notebook = self.notebook().is_some_and(|path| {
            let path = Path::new(path);
            path.ends_with(name)
                || path.file_stem().is_some_and(|stem| stem == name)
                || path == Path::new(name)
        });
        is_notebook
            || self.process.pid.to_string() == name
            || (name.len() >= 4 && self.id().starts_with(name))
    }

    /// What its main thread does, in a sentence.
    fn doing(&self) -> String {
        let ask = || -> Result<String> {
            let content = question(&self.connection_file, "stack", "", TIMEOUT)?;
            let text = content["data"]["text/plain"].as_str().unwrap_or_default();
            Ok(text
                .split("\n\n")
                .next()
                .unwrap_or_default()
                .replace('\n', " "))
        };
        match ask() {
            Ok(text) if text.starts_with("No cell runs") => "idle".to_owned(),
            Ok(text) if !text.is_empty() => text,
            Ok(_) => "busy".to_owned(),
            Err(_) => format!(
                "no answer; `diaphane stack {}` looks from outside",
                self.process.pid
            ),
        }
    }
}

/// Who is asked.
pub enum Asked {
    /// A kernel, by its connection file.
    Kernel(PathBuf),
    /// The guest in this process.
    Guest(i32),
}

impl Asked {
    /// What it answers to a magic's question.
    pub fn question(&self, name: &str, line: &str, timeout: Duration) -> Result<Value> {
        match self {
            Self::Kernel(file) => question(file, name, line, timeout),
            Self::Guest(pid) => Ok(guest_socket::ask(*pid, name, line, timeout)?),
        }
    }
}

/// The one kernel or guest of a name.
pub fn named(name: &str) -> Result<Asked> {
    if let Some(kernel) = kernel_called(name)? {
        return Ok(Asked::Kernel(kernel.connection_file));
    }
    let guest = name.parse().ok();
    let guest = guest.filter(|pid| guest_socket::listening().contains(pid));
    guest.map(Asked::Guest).with_context(|| {
        format!("no kernel that runs is called {name:?}, and no guest listens there; `diaphane list` shows them")
    })
}

/// The one kernel of a name, if there is one.
pub fn kernel_called(name: &str) -> Result<Option<RunningKernel>> {
    let mut found = kernels();
    found.retain(|kernel| kernel.is_called(name));
    match found.len() {
        0 | 1 => Ok(found.pop()),
        many => bail!(
            "{many} kernels are called {name:?}; name one by its process: `diaphane list` shows them"
        ),
    }
}

/// The list for people.
pub fn list() -> String {
    let all = kernels();
    let guests = guest_socket::listening();
    if all.is_empty() && guests.is_empty() {
        return "no kernel of diaphane runs here, or none that this user may see".to_owned();
    }
    let mut lines = Vec::new();
    for kernel in &all {
        lines.push(printable(&format!(
            "{}  {}",
            kernel
                .notebook()
                .map_or_else(|| format!("kernel {}", kernel.id()), str::to_owned),
            kernel.about(),
        )));
        lines.push(printable(&format!("    {}", kernel.doing())));
        if kernel.notebook().is_some() {
            lines.push(format!("    kernel {}", printable(&kernel.id())));
        }
    }
    let guest = |pid| format!("guest  process {pid}, which listens");
    lines.extend(guests.into_iter().map(guest));
    lines.push("Ask one by name: diaphane ask -k NAME stack".to_owned());
    lines.join("\n")
}

/// Names may hold what would move a terminal's cursor, or turn the direction of what follows.
pub fn printable(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = |letter: char| match letter.is_control() || turns(letter) {
        true => letter.escape_default().collect(),
        false => letter.to_string(),
    };
    text.chars().map(escaped).collect()
}

fn ago(started: SystemTime) -> String {
    let seconds = started.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What a running kernel answers to a magic's question.
pub fn question(file: &Path, name: &str, line: &str, timeout: Duration) -> Result<Value> {
    let connection = Connection::read(file)?;
    let content = json!({"name": name, "line": line});
    let asked = Outgoing::new("magic_request", &content);
    let reply = client::request(&connection, asked, timeout)?;
    Ok(serde_json::from_slice(&reply.content)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_says_enough() {
        let before = |seconds| ago(SystemTime::now() - Duration::from_secs(seconds));
        assert_eq!(
            [before(5), before(600), before(9000)],
            ["5 s", "10 min", "2 h"]
        );
        assert_eq!(printable("a\u{1b}[2J"), "a\\u{1b}[2J");
    }
}
