//! The processes of this machine that run a program of one name: with which arguments, where, and since when.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// A process that runs it.
#[derive(Debug, Clone)]
pub struct RunningProgram {
    /// The process.
    pub pid: i32,
    /// The arguments, the program first.
    pub arguments: Vec<String>,
    /// The folder that it works in; `None` where Linux does not show it to us.
    pub folder: Option<PathBuf>,
    /// When it began, to the second.
    pub started: SystemTime,
    environment: HashMap<String, String>,
}

impl RunningProgram {
    /// A variable of the environment that it was started with, where Linux shows it to us.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }
}

/// All of them, those that were started last first. A Python that runs a module of this name (`python -m NAME`) is one too.
#[must_use]
pub fn running(name: &str) -> Vec<RunningProgram> {
    let Ok(mut system) = System::new() else {
        return Vec::new();
    };
    let asked = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, asked);
    let processes = system.processes().values();
    let ours = processes.filter(|one| {
        let is_program = || one.name().to_str() == Some(name);
        one.thread_kind().is_none() && (is_program() || runs_module(one.cmd(), name))
    });
    let found = ours.map(|one| {
        let folder = format!("/proc/{}", one.pid());
        RunningProgram {
            pid: one.pid().as_u32().cast_signed(),
            arguments: one
                .cmd()
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            folder: fs::read_link(format!("{folder}/cwd")).ok(),
            started: SystemTime::UNIX_EPOCH + Duration::from_secs(one.start_time()),
            environment: environment(&fs::read(format!("{folder}/environ")).unwrap_or_default()),
        }
    });
    let mut found: Vec<RunningProgram> = found.collect();
    found.sort_by(|one, other| {
        other
            .started
            .cmp(&one.started)
            .then(other.pid.cmp(&one.pid))
    });
    found
}

/// Whether these are a Python's arguments that run this module.
fn runs_module(arguments: &[OsString], name: &str) -> bool {
    let mut behind = arguments.iter().skip_while(|word| *word != "-m").skip(1);
    behind.next().is_some_and(|word| word == name)
}

fn environment(raw: &[u8]) -> HashMap<String, String> {
    let entries = raw.split(|byte| *byte == 0);
    let text = |entry: &[u8]| {
        OsString::from_vec(entry.to_vec())
            .to_string_lossy()
            .into_owned()
    };
    let pair = |entry: &[u8]| {
        let text = text(entry);
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    entries.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_process_is_found_with_its_arguments_and_its_folder() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .env("MARK", "a=b")
            .current_dir("/tmp")
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        // `spawn` returns in the middle of the child's `execve`, when it has its name and no arguments yet.
        let until = Instant::now() + Duration::from_secs(30);
        let found = loop {
            let found = running("sleep").into_iter().find(|one| one.pid == pid);
            let whole = found.as_ref().is_some_and(|one| !one.arguments.is_empty());
            if whole || Instant::now() > until {
                break found;
            }
            std::thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let found = found.unwrap();
        assert_eq!(found.arguments[1], "600");
        assert_eq!(
            found.folder.as_deref(),
            std::path::Path::new("/tmp").canonicalize().ok().as_deref()
        );
        assert_eq!(found.variable("MARK"), Some("a=b"));
        assert!(found.started <= SystemTime::now() + Duration::from_secs(2));
    }
}
