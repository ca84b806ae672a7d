//! One frame as text, or the answer as JSON, for those who are no terminal.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::draw;
use super::model::Model;
use super::target::Target;
use super::watcher::{self, News};

/// How wide the text is.
const COLUMNS: u16 = 80;
/// The CPU time of what is shown is that of half a second.
const LONGEST: Duration = Duration::from_millis(500);

/// Looks twice, since CPU time is a difference, and shows what was seen at the second time.
pub fn frame(target: Target, interval: Duration, as_json: bool) -> Result<String> {
    let mut model = Model::new(&target, interval);
    let main = model.main;
    let (sender, news) = channel();
    let (questions, _thread) = watcher::start(target, move |one| drop(sender.send(one)))?;
    let mut raw = Value::Null;
    for is_last in [false, true] {
        let mut question = model.question();
        question.epoch = None;
        question.stack = is_last.then_some(main);
        questions.send(question)?;
        loop {
            match news.recv()? {
                News::Seen(answer) => {
                    raw = answer.raw.clone();
                    model.take(News::Seen(answer));
                    break;
                }
                // What is seen of it from outside is an answer too.
                News::Silent(Some(answer)) => {
                    raw = answer.raw.clone();
                    model.take(News::Silent(Some(answer)));
                    return Ok(shown(&model, &raw, as_json));
                }
                News::Silent(None) => bail!("the kernel does not answer"),
                News::Refused(why) => bail!("the kernel has no time to answer: {why}"),
                News::Gone(how) => bail!("{how}"),
                News::Restarted(_) | News::Told(_) => {
                    questions.send(question)?;
                }
            }
        }
        if !is_last {
            thread::sleep(interval.min(LONGEST));
        }
    }
    Ok(shown(&model, &raw, as_json))
}

fn shown(model: &Model, raw: &Value, as_json: bool) -> String {
    match as_json {
        true => format!("{raw:#}"),
        false => draw::plain(model, COLUMNS),
    }
}
