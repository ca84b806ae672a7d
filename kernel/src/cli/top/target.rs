//! What is looked at, and how it is found by what the user says.

use std::path::PathBuf;

use anyhow::{Result, bail};
use diaphane_magics::ProcessMonitor;
use diaphane_sight::proc::identity::started_at;

use crate::cli::running_kernels::{self, RunningKernel, printable};

/// What is looked at.
pub enum Target {
    Kernel(KernelTarget),
    /// Any process with Python.
    Process(Box<ProcessMonitor>),
}

/// A kernel, and the process in which it runs at this moment.
#[derive(Clone, Debug)]
pub struct KernelTarget {
    pub file: PathBuf,
    pub pid: i32,
    started: Option<u64>,
    /// Its notebook, or its identity.
    pub name: String,
    /// Where and since when it runs, for a list.
    pub about: String,
}

/// What is found.
pub enum Found {
    One(Target),
    Several(Vec<KernelTarget>),
}

/// Finds what the user names; without a name, the kernels that run.
pub fn find(name: Option<&str>, may_stop: bool) -> Result<Found> {
    let Some(name) = name else {
        let mut all: Vec<_> = running_kernels::kernels()
            .iter()
            .map(KernelTarget::of)
            .collect();
        return match all.len() {
            0 => bail!(
                "no kernel of diaphane runs here, or none that this user may see; `diaphane top PID` looks at any process with Python"
            ),
            1 => Ok(Found::One(Target::Kernel(all.remove(0)))),
            _ => Ok(Found::Several(all)),
        };
    };
    if let Some(kernel) = running_kernels::kernel_called(name)? {
        return Ok(Found::One(Target::Kernel(KernelTarget::of(&kernel))));
    }
    match name.parse() {
        Ok(pid) => {
            let process = ProcessMonitor::of(pid, may_stop).map_err(anyhow::Error::msg)?;
            Ok(Found::One(Target::Process(Box::new(process))))
        }
        Err(_) => bail!(
            "no kernel that runs is called {name:?}; `diaphane list` shows them, and `diaphane top PID` looks at any process with Python"
        ),
    }
}

/// The one that is found, or the kernel that was started last.
pub fn or_newest(found: Found, remark: impl Fn(&str)) -> Target {
    match found {
        Found::One(target) => target,
        Found::Several(mut kernels) => {
            let count = kernels.len();
            let newest = kernels.remove(0);
            remark(&format!(
                "diaphane: looking at {}, which was started last of {count}; `diaphane list` shows the others",
                newest.name
            ));
            Target::Kernel(newest)
        }
    }
}

impl KernelTarget {
    fn of(kernel: &RunningKernel) -> Self {
        Self {
            file: kernel.connection_file.clone(),
            pid: kernel.pid(),
            started: started_at(kernel.pid()),
            name: printable(&kernel.name()),
            about: printable(&kernel.about()),
        }
    }

    /// Whether its process runs.
    pub fn is_there(&self) -> bool {
        let now = started_at(self.pid);
        now.is_some() && now == self.started
    }

    /// The process that took its place, if one has.
    pub fn restarted(&self) -> Option<Self> {
        let all = running_kernels::kernels();
        let same = all
            .iter()
            .find(|kernel| kernel.connection_file == self.file);
        same.map(Self::of).filter(Self::is_there)
    }
}

impl Target {
    /// The process.
    pub fn pid(&self) -> i32 {
        match self {
            Self::Kernel(kernel) => kernel.pid,
            Self::Process(process) => process.pid(),
        }
    }

    /// What stands above the view.
    pub fn title(&self) -> String {
        match self {
            Self::Kernel(kernel) => format!("{}  process {}", kernel.name, kernel.pid),
            Self::Process(process) => match process.version() {
                Some(version) => format!("{}, Python {version}", process.title()),
                None => process.title().to_owned(),
            },
        }
    }
}
