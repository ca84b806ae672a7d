//! What is asked, and the ways to ask it: a kernel on its control channel, another process from outside.
//!
//! Text of others loses what could move a terminal's cursor here, before anything else sees it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use diaphane_magics::ProcessMonitor;
use diaphane_wire::monitor::{Moment, MonitorRequest, REQUEST, StackCall};
use diaphane_wire::{Message, Outgoing};
use serde::Deserialize;
use serde_json::Value;

use super::target::KernelTarget;
use crate::cli::running_kernels::{printable, question};

/// Longer than any magic takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the model wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    /// The epoch of the names that are known.
    pub epoch: Option<u64>,
    /// The thread whose stack is wanted.
    pub stack: Option<i32>,
    /// Whether the libraries are.
    pub libraries: bool,
}

/// What was answered.
#[derive(Debug)]
pub struct MonitorAnswer {
    /// With the stack of the main thread.
    pub moment: Moment,
    /// The stack of another thread, or why there is none.
    pub stack: Option<(i32, Result<Vec<StackCall>, String>)>,
    /// The libraries, or why they are not known.
    pub libraries: Option<Result<Vec<LibraryRow>, String>>,
    /// As it came.
    pub raw: Value,
}

/// A library in the process.
#[derive(Clone, Debug, Deserialize)]
pub struct LibraryRow {
    pub name: String,
    #[serde(default)]
    pub package: Option<String>,
    #[serde(default)]
    pub size: u64,
    /// The cell in which it was loaded.
    #[serde(default)]
    pub first_cell: Option<u32>,
    #[serde(default)]
    pub path: Option<String>,
}

/// The question as a kernel takes it; `main` is its main thread.
pub fn request(asked: Question, main: i32) -> Outgoing {
    let content = MonitorRequest {
        epoch: asked.epoch,
        thread: asked.stack.filter(|tid| *tid != main),
        stack: asked.stack.is_some(),
        why: asked.stack.is_some(),
    };
    Outgoing::new(REQUEST, &content)
}

/// What a kernel has answered, or the sentence by which it refused. Its libraries are asked for now.
pub fn reply(message: &Message, asked: Question, kernel: &KernelTarget) -> Result<MonitorAnswer> {
    let raw: Value = serde_json::from_slice(&message.content)?;
    if raw["status"] != "ok" {
        let sentence = raw["evalue"].as_str().unwrap_or("it gave no reason");
        bail!("{}", printable(sentence));
    }
    let mut answer = MonitorAnswer::of(raw)?.about(asked.stack, kernel.pid);
    if asked.libraries {
        answer.libraries = Some(magic(kernel, "loaded_libs", ""));
    }
    Ok(answer)
}

/// Looks at a process from outside.
pub fn look(process: &mut ProcessMonitor, asked: Question) -> Result<MonitorAnswer> {
    let moment = process.look(asked.stack).map_err(anyhow::Error::msg)?;
    let raw = serde_json::to_value(&moment)?;
    let mut answer = MonitorAnswer::of(raw)?.about(asked.stack, process.pid());
    if asked.libraries {
        let rows = cleaned(serde_json::to_value(process.libraries())?);
        answer.libraries = Some(serde_json::from_value(rows).map_err(|error| error.to_string()));
    }
    Ok(answer)
}

impl MonitorAnswer {
    pub fn of(raw: Value) -> Result<Self> {
        let moment = serde_json::from_value(cleaned(raw.clone()));
        Ok(Self {
            moment: moment.context("what it answers is not understood here")?,
            stack: None,
            libraries: None,
            raw,
        })
    }

    /// With the stack as that of the thread that was asked about.
    fn about(mut self, asked: Option<i32>, main: i32) -> Self {
        if let Some(tid) = asked.filter(|tid| *tid != main) {
            let stack = self.moment.stack.take();
            self.moment.why = None;
            self.stack = Some(match self.moment.thread == Some(tid) {
                true => (tid, Ok(stack.unwrap_or_default())),
                // A kernel that does not know the question tells of its main thread.
                false => (
                    tid,
                    Err("Nothing is known of this thread's stack.".to_owned()),
                ),
            });
        }
        self
    }
}

/// The rows of a magic's report.
fn magic<T: for<'a> Deserialize<'a>>(
    kernel: &KernelTarget,
    name: &str,
    line: &str,
) -> Result<Vec<T>, String> {
    let rows = || -> Result<Vec<T>> {
        let mut content = question(&kernel.file, name, line, TIMEOUT)?;
        if content["status"] != "ok" {
            let sentence = content["evalue"].as_str().unwrap_or("it gave no reason");
            bail!("{}", printable(sentence));
        }
        let report = &mut content["data"][format!("application/vnd.diaphane.{name}+json")];
        Ok(serde_json::from_value(cleaned(report["rows"].take()))?)
    };
    rows().map_err(|error| format!("{error:#}"))
}

/// A value whose texts, and names of fields, can be shown.
fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text)),
        Value::Array(all) => all.into_iter().map(cleaned).collect(),
        Value::Object(fields) => {
            let clean = |(name, value): (String, Value)| (printable(&name), cleaned(value));
            Value::Object(fields.into_iter().map(clean).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_comes_from_others_moves_no_cursor() {
        let hostile = "\u{1b}]0;x\u{7}\u{202e}";
        let raw = json!({"at_ns": 1, "cpu_ns": 2, "threads": [[7, "R", 3, hostile]],
            "names": {"7": {"name": hostile, "kind": "new"}},
            "stack": [{"function": hostile, "kind": "native"}]});
        let moment = MonitorAnswer::of(raw).unwrap().moment;
        let name = &moment.names.unwrap()[&7].name;
        assert_eq!(name, "\\u{1b}]0;x\\u{7}\\u{202e}");
        assert_eq!(moment.threads[0].3.as_ref(), Some(name));
        assert_eq!(moment.stack.unwrap()[0].function.as_ref(), Some(name));
    }

    #[test]
    fn an_answer_of_another_kind_is_refused() {
        assert!(MonitorAnswer::of(json!({"threads": "none"})).is_err());
    }
}
