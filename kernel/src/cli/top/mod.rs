//! `diaphane top`: what one kernel, or any process with Python, does at this moment, in a terminal and again every second.
//!
//! Data flows one way: keys and answers (`session`) change the `model`, the model is drawn (`draw`), and what it wants to
//! know next is asked by another thread (`watcher`), which knows the ways to ask (`source`).

mod chooser;
mod draw;
mod format;
mod model;
mod once;
mod screen;
mod session;
mod snapshot;
mod source;
mod target;
mod watcher;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Result, bail};

use target::Found;

#[derive(clap::Args)]
pub struct TopArgs {
    /// The kernel by its notebook, its process or the beginning of its identity, as `diaphane list` shows them; or the
    /// process of any CPython of this user. Without it, the kernel that runs, or one to be chosen from a list.
    #[arg(value_name = "KERNEL|PID")]
    name: Option<String>,
    /// The same, as `diaphane ask` takes it.
    #[arg(long, short, value_name = "KERNEL|PID", conflicts_with = "name")]
    kernel: Option<String>,
    /// Seconds from one look to the next, from 0.2 to 60.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Print one frame as text, and end.
    #[arg(long)]
    once: bool,
    /// Print what was answered as JSON.
    #[arg(long, requires = "once")]
    json: bool,
    /// Of a process that is no kernel: stop no thread, so that of those that run only Python's functions are shown.
    #[arg(long)]
    no_stop: bool,
}

fn seconds(word: &str) -> Result<Duration, String> {
    let seconds = word.parse().ok().filter(|one| (0.2..=60.0).contains(one));
    let seconds = seconds.map(Duration::from_secs_f64);
    seconds.ok_or_else(|| "it is a number of seconds from 0.2 to 60".to_owned())
}

/// Shows it until the user has seen enough, or gives one frame as text. Before that `remark` is told which kernel was taken,
/// where that is not clear.
pub fn top(args: &TopArgs, remark: impl Fn(&str)) -> Result<String> {
    let is_terminal = std::io::stdout().is_terminal();
    if !args.once && !is_terminal {
        bail!("standard output is no terminal; `diaphane top --once` prints one frame as text");
    }
    if !args.once && std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        bail!(
            "this terminal cannot place text (TERM=dumb); `diaphane top --once` prints one frame"
        );
    }
    let name = args.name.as_deref().or(args.kernel.as_deref());
    let found = target::find(name, !args.no_stop)?;
    if args.once {
        let target = target::or_newest(found, remark);
        return once::frame(target, args.interval, args.json);
    }
    let mut session = session::Session::begin()?;
    let target = match found {
        Found::One(target) => Some(target),
        Found::Several(kernels) => chooser::choose(kernels, &mut session)?,
    };
    if let Some(target) = target {
        session.watch(target, args.interval)?;
    }
    Ok(String::new())
}
