//! `diaphane ask`: puts a magic's question to a running kernel, also when its cell hangs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::running_kernels::{self, Asked};

/// Longer than any magic takes.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct AskArgs {
    /// The connection file of the kernel; without it, the kernel that was started last.
    #[arg(short = 'f', long, value_name = "FILE")]
    connection_file: Option<PathBuf>,
    /// The kernel by its notebook, its process or the beginning of its identity, as `diaphane list` shows them; or the
    /// process of a guest that listens.
    #[arg(
        short = 'k',
        long,
        value_name = "NAME",
        conflicts_with = "connection_file"
    )]
    kernel: Option<String>,
    /// The magic, without its percent sign.
    magic: String,
    /// What stands behind it on the line.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    line: Vec<String>,
}

/// Asks, and gives back the answer as text; before it `remark` is told which kernel was asked, where that is not clear.
pub fn ask(args: &AskArgs, remark: impl Fn(&str)) -> Result<String> {
    let asked = match (&args.connection_file, args.kernel.as_deref()) {
        (Some(file), _) => Asked::Kernel(file.clone()),
        (None, name) => chosen(name, remark)?,
    };
    let name = args.magic.trim_start_matches('%');
    let data = answer(&asked, name, &args.line.join(" "))?;
    Ok(text(&data["text/plain"]))
}

/// The kernel or guest of this name; without one, the kernel that was started last.
pub fn chosen(name: Option<&str>, remark: impl Fn(&str)) -> Result<Asked> {
    match name {
        Some(name) => running_kernels::named(name),
        None => Ok(Asked::Kernel(started_last(remark)?)),
    }
}

/// A report by MIME type.
pub fn answer(asked: &Asked, name: &str, line: &str) -> Result<Value> {
    let mut content = asked.question(name, line, TIMEOUT)?;
    if content["status"] != "ok" {
        bail!("{}", text(&content["evalue"]));
    }
    Ok(content["data"].take())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The kernel that was started last. Where several run, it is said which one was asked.
fn started_last(remark: impl Fn(&str)) -> Result<PathBuf> {
    let all = running_kernels::kernels();
    let Some(last) = all.first() else {
        // One in another container is not among the processes here, and its file may be.
        return newest(&runtime_dir()?);
    };
    if all.len() > 1 {
        let name = last.name().escape_default().to_string();
        remark(&format!(
            "diaphane: asking {name}, which was started last of {}; -k NAME asks another one, `diaphane list` shows them",
            all.len()
        ));
    }
    Ok(last.connection_file.clone())
}

fn runtime_dir() -> Result<PathBuf> {
    crate::install::runtime_dir()
        .context("the folder of running kernels is unknown: set JUPYTER_RUNTIME_DIR, or name the connection file by -f")
}

fn newest(folder: &Path) -> Result<PathBuf> {
    let nothing = || {
        format!(
            "no kernel runs here that this user may see, nor by what {} says; name its connection file by -f",
            folder.display()
        )
    };
    let entries = std::fs::read_dir(folder).with_context(nothing)?;
    let is_connection = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("kernel-") && name.ends_with(".json"))
    };
    let changed = |path: &PathBuf| {
        let about = std::fs::metadata(path).and_then(|about| about.modified());
        about.unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let files = entries.flatten().map(|entry| entry.path());
    files
        .filter(is_connection)
        .max_by_key(changed)
        .with_context(nothing)
}
