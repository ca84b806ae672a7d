//! What the io thread sends when another thread is about to end the process: what waits, and why it ends.
//!
//! The thread that died may hold any lock, malloc's among them, and may have ruined what it wrote to. So nothing is
//! waited for without a deadline, and nothing is freed that another thread has allocated.

use std::mem::forget;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use diaphane_sight::crash::black_box::{self, BlackBox, End};
use diaphane_sight::crash::handler::{Stage, reach};
use diaphane_wire::{Outgoing, publish};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Io;
use crate::crash::RunningCell;
use crate::outbox::Item;

/// How long the process that looks at this one may take.
const READING: Duration = Duration::from_secs(24);

/// What it says.
#[derive(Deserialize)]
struct Words {
    slot: Option<usize>,
    ename: String,
    evalue: String,
    traceback: Vec<String>,
    /// The whole report by MIME type.
    data: Option<Box<RawValue>>,
}

impl Io {
    /// Tells of the end, which comes while this thread waits for it.
    pub(super) fn last_words(mut self) -> ! {
        self.send_what_waits();
        reach(Stage::Flushed);
        if let Some(own) = black_box::writable() {
            let words = match own.end() {
                End::Exit => exit_words(own),
                _ => self.read_words().unwrap_or_else(|| short_words(own)),
            };
            // What was written meanwhile, as by a handler that was there before.
            self.send_what_waits();
            self.end_live_pictures();
            self.tell(words);
            own.told.store(1, std::sync::atomic::Ordering::Relaxed);
        }
        reach(Stage::Told);
        self.let_leave();
        reach(Stage::Left);
        loop {
            std::thread::park();
        }
    }

    fn send_what_waits(&mut self) {
        if let Some(items) = self.kernel.outbox.try_take_all() {
            for item in &items {
                self.send_copy(item);
            }
            forget(items);
        }
        let parent = self
            .kernel
            .crash
            .running()
            .into_iter()
            .next()
            .map(|(_, cell)| cell.parent);
        for (stream, text) in self.kernel.capture.read_last() {
            self.publish_text(parent.as_deref(), stream, &text);
        }
        forget(parent);
    }

    fn end_live_pictures(&mut self) {
        let left = self.kernel.live_pictures.take();
        for item in &left {
            self.send_copy(item);
        }
        forget(left);
    }

    /// Sends something without taking it.
    pub(super) fn send_copy(&mut self, item: &Item) {
        match item {
            Item::Text {
                stream,
                parent,
                text,
            } => self.publish_text(parent.as_deref(), *stream, text),
            Item::Publish { parent, message } => self.publish(parent.as_deref(), message.clone()),
            Item::Reply {
                channel,
                parent,
                message,
            } => self.reply(*channel, parent, message.clone()),
        }
    }

    /// What the process says that looks at this one: one line.
    fn read_words(&self) -> Option<Words> {
        let end = Instant::now() + READING;
        let mut line = Vec::new();
        let mut buffer = [0_u8; 8192];
        let source = self.kernel.crash.words();
        loop {
            match rustix::io::read(source, &mut buffer) {
                Ok(0) => return None,
                Ok(read) => line.extend_from_slice(&buffer[..read]),
                Err(_) => {
                    let left =
                        Timespec::try_from(end.checked_duration_since(Instant::now())?).ok()?;
                    let fd = source.as_fd();
                    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left));
                    ready.ok().filter(|ready| *ready > 0)?;
                }
            }
            if line.ends_with(b"\n") {
                return serde_json::from_slice(&line).ok();
            }
        }
    }

    /// An error under the cell that died, the whole report below it, and the end of all cells.
    fn tell(&mut self, words: Words) {
        let running = self.kernel.crash.running();
        if running.is_empty() {
            let waiting = self.kernel.lanes.main().announced();
            let parent = waiting.or_else(|| self.kernel.try_current());
            self.publish_words(parent.as_deref(), &words);
            forget(parent);
        }
        for (slot, cell) in &running {
            let is_it = words.slot.is_none_or(|own| own == *slot);
            let other = format!("{}: {} (in another cell)", words.ename, words.evalue);
            let elsewhere = Words {
                slot: None,
                ename: words.ename.clone(),
                evalue: words.evalue.clone(),
                traceback: vec![other],
                data: None,
            };
            self.end_cell(cell, if is_it { &words } else { &elsewhere });
        }
        forget(running);
    }

    fn publish_words(&mut self, parent: Option<&diaphane_wire::Message>, words: &Words) {
        let content = json!({
            "ename": words.ename,
            "evalue": words.evalue,
            "traceback": words.traceback,
        });
        self.publish(parent, Outgoing::new("error", &content));
        if let Some(data) = &words.data {
            let content = publish::Display::new(data);
            self.publish(parent, Outgoing::new("display_data", &content));
        }
    }

    fn end_cell(&mut self, cell: &RunningCell, words: &Words) {
        let parent = Some(&*cell.parent);
        self.publish_words(parent, words);
        let content = json!({
            "status": "error",
            "execution_count": cell.number,
            "ename": words.ename,
            "evalue": words.evalue,
            "traceback": words.traceback,
            "user_expressions": {},
            "payload": [],
        });
        self.reply(
            cell.channel,
            &cell.parent,
            Outgoing::new("execute_reply", &content),
        );
        self.publish(parent, Outgoing::new("status", &publish::IDLE));
    }

    /// Gives libzmq the time to send.
    fn let_leave(self) {
        let Self {
            kernel,
            mut sockets,
            session,
            usage,
            unsent,
            parent_process,
            ..
        } = self;
        for frames in unsent {
            sockets.publish_last(frames);
        }
        drop(sockets);
        forget((kernel, session, usage, parent_process));
    }
}

/// The words without a process that looked.
fn short_words(own: &BlackBox) -> Words {
    let evalue = diaphane_magics::crash_in_short(own);
    Words {
        slot: own
            .fault
            .get()
            .and_then(|fault| {
                own.running().find(|(_, cell)| {
                    cell.tid.load(std::sync::atomic::Ordering::Relaxed) == fault.tid
                })
            })
            .map(|(slot, _)| slot),
        traceback: vec![format!("KernelCrash: {evalue}")],
        ename: "KernelCrash".to_owned(),
        evalue,
        data: None,
    }
}

fn exit_words(own: &BlackBox) -> Words {
    let status = own.status.load(std::sync::atomic::Ordering::Relaxed);
    let evalue = format!("the process was ended by exit({status})");
    Words {
        slot: None,
        traceback: vec![format!("KernelExit: {evalue}")],
        ename: "KernelExit".to_owned(),
        evalue,
        data: None,
    }
}
