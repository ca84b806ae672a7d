//! Reads questions and writes answers. A thread reads, so that a build can be cancelled.

use std::env;
use std::io::{self, BufRead, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Result, anyhow};
use diaphane_rust_protocol::{Answer, Question};
use evcxr::EvalContext;

use crate::compiler::Compiler;
use crate::look::{self, Looker, Places, Session};
use crate::{cancel, dependencies, nesting, settings, slot, toolchain};

/// What the reading thread knows of the building one.
#[derive(Default)]
struct Shared {
    /// The relay's process, which is not to be ended.
    relay: AtomicU32,
    cancelled: AtomicBool,
}

/// Answers until the kernel closes.
pub fn serve() -> Result<()> {
    let compiler = prepare();
    let looker = compiler.as_ref().ok().map(look_around).transpose()?;
    let shared = Arc::new(Shared::default());
    let (sender, questions) = channel();
    let reader = Arc::clone(&shared);
    thread::spawn(move || read(&reader, &sender, looker.as_ref()));
    let compile = move || match compiler.and_then(begin) {
        Ok(mut compiler) => {
            let relay = compiler.context.process_handle();
            let relay = relay.lock().map_or(0, |relay| relay.id());
            shared.relay.store(relay, Ordering::Relaxed);
            answer_all(&mut compiler, &shared, &questions)
        }
        // Without Rust each question gets the reason.
        Err(error) => refuse_all(&format!("{error:#}"), &questions),
    };
    let compiling = thread::Builder::new()
        .stack_size(nesting::STACK)
        .spawn(compile)?;
    let ended = compiling.join();
    ended.unwrap_or_else(|_| Err(anyhow!("the thread that compiles has failed")))
}

/// Begins to answer what could stand in cells.
fn look_around((slot, folders, toolchain): &Prepared) -> Result<Looker> {
    look::remember(Session {
        dependencies: dependencies::manifest(&folders.support, &[]),
        ..Session::default()
    });
    Ok(Looker::start(Places {
        folder: slot.folder.join("analysis"),
        lock: slot.folder.join("Cargo.lock"),
        sysroot: toolchain.sysroot.clone(),
        library: toolchain
            .library
            .clone()
            .unwrap_or_else(|| folders.no_sources.clone()),
    })?)
}

type Prepared = (slot::Slot, settings::Folders, toolchain::Toolchain);

fn prepare() -> Result<Prepared> {
    let toolchain = toolchain::find()?;
    let slot = slot::take()?;
    let folders = settings::prepare(&slot.folder, &toolchain)?;
    Ok((slot, folders, toolchain))
}

fn begin((slot, folders, toolchain): Prepared) -> Result<Compiler> {
    let relay = Command::new(env::current_exe()?);
    let (context, outputs) =
        EvalContext::with_subprocess_command(relay).map_err(|error| anyhow!("evcxr: {error}"))?;
    // Without a receiver evcxr waits for nobody.
    drop(outputs);
    Ok(Compiler::new(context, slot, folders, toolchain))
}

/// Hands questions on. The end of the input ends the process, and whatever it is building.
fn read(shared: &Shared, questions: &Sender<Question>, looker: Option<&Looker>) {
    for line in io::stdin().lock().lines() {
        let Ok(question) = line.map_err(|_| ()).and_then(|line| {
            serde_json::from_str::<Question>(&line).map_err(|error| {
                crate::tell(&format!(
                    "diaphane-rust: not this version's question ({error}); run ./install.sh again"
                ))
            })
        }) else {
            break;
        };
        match question {
            Question::Cancel => {
                shared.cancelled.store(true, Ordering::Relaxed);
                cancel::end_builds(shared.relay.load(Ordering::Relaxed));
            }
            Question::Look(look) => match looker {
                Some(looker) => looker.look(look),
                // Without Rust nothing is known.
                None => look::tell(look::nothing(&look)),
            },
            question => {
                if questions.send(question).is_err() {
                    break;
                }
            }
        }
    }
    cancel::end_builds(0);
    std::process::exit(0);
}

fn answer_all(
    compiler: &mut Compiler,
    shared: &Shared,
    questions: &Receiver<Question>,
) -> Result<()> {
    for question in questions {
        shared.cancelled.store(false, Ordering::Relaxed);
        let answer = match question {
            Question::Compile(cell) => compiler.compile(cell),
            Question::Reset => compiler.reset(),
            Question::Status => compiler.status(),
            Question::Cancel | Question::Look(_) => continue,
        };
        let is_cancelled = shared.cancelled.load(Ordering::Relaxed);
        let answer = match answer {
            Answer::Failed { .. } | Answer::Refused { .. } if is_cancelled => Answer::Refused {
                reason: "cancelled".to_owned(),
            },
            answer => answer,
        };
        say(&answer)?;
    }
    Ok(())
}

fn refuse_all(reason: &str, questions: &Receiver<Question>) -> Result<()> {
    for _ in questions {
        say(&Answer::Refused {
            reason: reason.to_owned(),
        })?;
    }
    Ok(())
}

/// Writes an answer, as one line whichever thread has it.
pub fn say(answer: &Answer) -> Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes())?;
    Ok(output.flush()?)
}
