//! Hooks at the entry of every function of a library, also of those that only the library itself calls.
//!
//! The first instructions of a function are moved into a trampoline, and a jump to the trampoline takes their place: `functions` finds
//! where functions begin, `branches` and `prologue` decide what can be moved, `moved_code` writes the copies, `stop_the_world`
//! keeps all threads out of the way, `text_patching` writes the jumps and takes them back. Only entries are hooked: the stack is as it
//! would be, so exceptions, `longjmp` and forks work as ever.

mod branches;
mod choice;
mod forks;
mod functions;
mod held;
pub mod hostile;
mod library;
mod moved_code;
mod prologue;
mod signal;
mod stop_the_world;
mod text;
mod text_patching;
mod unsignalled;

use std::collections::{HashMap, HashSet};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use diaphane_forks::ProcessLock;
use diaphane_sight::linker::libraries::Library;

pub use crate::inline_hooks::stop_the_world::InlineHooksRefused;
pub use crate::inline_hooks::unsignalled::let_run;
pub use choice::{may_be_hooked, usual};
pub use library::{Ready, Unfit};
pub use prologue::Reason;

use crate::inline_hooks::stop_the_world::{Trust, while_stopped};
use crate::inline_hooks::text_patching::{Want, Written};
use crate::inline_hooks::unsignalled::{UnsignalledThread, unsignalled};
use held::Held;

/// So long a thread may take to stop before nothing is hooked.
const TIMEOUT: Duration = Duration::from_millis(100);
/// So long it may take before code is written beside it, to undo what was done.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// Libraries that were looked at; made once for each, and kept.
#[derive(Debug)]
pub struct PreparedInlineHooks {
    /// Those that can be hooked.
    pub ready: Vec<&'static Ready>,
    /// The others.
    pub unfit: Vec<(String, Unfit)>,
}

/// Hooks that are in place; they are removed when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Applied {
    /// How many functions are hooked.
    pub hooked: usize,
    /// How many are not, because their code has been changed by somebody else since it was looked at.
    pub foreign: usize,
    /// How long the other threads stood still.
    pub pause: Duration,
    /// Libraries that are not hooked, because a thread runs them that cannot be stopped.
    pub left_out: Vec<(String, i32)>,
    held: Vec<Held>,
    is_undone: bool,
}

/// What went wrong when hooks were to be removed.
#[derive(Debug, thiserror::Error)]
#[error("functions stay hooked until the next recording: {0}")]
pub struct Stays(InlineHooksRefused);

/// What was learned and done so far.
#[derive(Default)]
struct State {
    known: HashMap<Key, Result<&'static Ready, Unfit>>,
    /// What an earlier recording could not take back.
    remains: Vec<Held>,
}

/// A library at its place.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    bias: usize,
    path: Option<String>,
    build_id: Option<String>,
}

type List = &'static [&'static Ready];

static STATE: ProcessLock<Option<State>> = ProcessLock::new(|| None);
/// The libraries that hold jumps of ours; null if none does.
static WRITTEN: AtomicPtr<List> = AtomicPtr::new(ptr::null_mut());

/// Makes libraries ready. It takes up to half a second for the largest, and nothing the next time. `words` gives the
/// functions of a library whose arguments may be kept; it is asked once for each.
#[must_use]
pub fn prepare(
    libraries: &[&Library],
    words: impl Fn(&Library) -> HashSet<usize>,
) -> PreparedInlineHooks {
    let mut state = STATE.lock();
    let known = &mut state.get_or_insert_default().known;
    let mut prepared = PreparedInlineHooks {
        ready: Vec::new(),
        unfit: Vec::new(),
    };
    for library in libraries {
        let key = Key {
            bias: library.image.bias(),
            path: library.path.clone(),
            build_id: library.image.build_id.clone(),
        };
        let look = || look(library, &words);
        match known.entry(key).or_insert_with(look) {
            Ok(ready) => prepared.ready.push(*ready),
            Err(unfit) => prepared.unfit.push((library.name.clone(), *unfit)),
        }
    }
    prepared.ready.sort_by_key(|ready| ready.bias);
    prepared.ready.dedup_by_key(|ready| ready.bias);
    prepared
}

fn look(
    library: &Library,
    words: impl Fn(&Library) -> HashSet<usize>,
) -> Result<&'static Ready, Unfit> {
    if !crate::arch::patching::PATCHED {
        return Err(Unfit::Processor);
    }
    if !may_be_hooked(library) {
        return Err(Unfit::Needed);
    }
    // Trampolines point at it, and a signal handler may look at it whenever it runs.
    Ready::prepare(library, &words(library)).map(|ready| &*Box::leak(Box::new(ready)))
}

impl PreparedInlineHooks {
    /// Writes the jumps, all at once.
    pub fn apply(&self) -> Result<Applied, InlineHooksRefused> {
        let mut state = STATE.lock();
        let state = state.get_or_insert_default();
        forks::guard();
        text_patching::announce();
        if !WRITTEN.load(Ordering::Acquire).is_null() {
            // An earlier recording may have left them; one that runs holds them itself.
            if state.remains.is_empty() {
                return Err(InlineHooksRefused::Busy);
            }
            undo(LAST_TIMEOUT)?;
            state.remains.clear();
        }
        let mut left_out = Vec::new();
        let mut chosen = self.ready.clone();
        let mut held: Vec<Held> = chosen.iter().filter_map(|ready| Held::new(ready)).collect();
        // One that is unloaded by now is not written to.
        chosen.retain(|ready| held.iter().any(|held| held.is(ready)));
        let unsignalled = unsignalled(&chosen, TIMEOUT)?;
        for thread in &unsignalled {
            for ready in &thread.runs {
                left_out.extend(without(&mut chosen, ready, thread.tid));
            }
        }
        held.retain(|held| chosen.iter().any(|ready| held.is(ready)));
        let (written, pause) = write(&chosen, &unsignalled)?;
        Ok(Applied {
            hooked: written.done,
            foreign: written.foreign,
            pause,
            left_out,
            held,
            is_undone: false,
        })
    }
}

impl Applied {
    /// Takes the jumps back.
    pub fn restore(mut self) -> Result<Duration, Stays> {
        self.take_back()
    }

    fn take_back(&mut self) -> Result<Duration, Stays> {
        if std::mem::replace(&mut self.is_undone, true) {
            return Ok(Duration::ZERO);
        }
        let mut state = STATE.lock();
        undo(LAST_TIMEOUT).map_err(|refused| {
            // The libraries must not go as long as somebody may come back to them.
            state.get_or_insert_default().remains.append(&mut self.held);
            Stays(refused)
        })
    }
}

/// What earlier recordings could not take back, in words; nothing is asked of one that runs.
#[allow(unsafe_code, reason = "the list is published as a raw pointer")]
#[must_use]
pub fn remaining() -> Option<String> {
    let state = STATE.try_lock()?;
    if state.as_ref()?.remains.is_empty() {
        return None;
    }
    // SAFETY: it is null, or points at a list that lives for ever.
    let list = unsafe { WRITTEN.load(Ordering::Acquire).as_ref() }?;
    let names: Vec<&str> = list.iter().map(|ready| ready.name.as_str()).collect();
    Some(format!(
        "functions of {} stay hooked, since a thread could not be stopped when a recording ended: they do what they did, \
         a little slower, and the next recording takes the hooks back first",
        names.join(", ")
    ))
}

impl Drop for Applied {
    fn drop(&mut self) {
        // What stays is taken back before the next recording.
        let _ = self.take_back();
    }
}

/// Takes a library off the list, and what it needs: the thread that runs it may run these too.
fn without(
    chosen: &mut Vec<&'static Ready>,
    library: &'static Ready,
    tid: i32,
) -> Vec<(String, i32)> {
    if !chosen.iter().any(|one| ptr::eq(*one, library)) {
        return Vec::new();
    }
    chosen.retain(|one| !ptr::eq(*one, library));
    let mut out = vec![library];
    let mut next = 0;
    while let Some(needed) = out.get(next).map(|ready| &ready.needed) {
        let (gone, kept) = chosen.iter().partition(|ready| ready.is_among(needed));
        *chosen = kept;
        out.extend::<Vec<&'static Ready>>(gone);
        next += 1;
    }
    out.into_iter()
        .map(|ready| (ready.name.clone(), tid))
        .collect()
}

fn write(
    chosen: &[&'static Ready],
    unsignalled: &[UnsignalledThread],
) -> Result<(Written, Duration), InlineHooksRefused> {
    // Signal handlers may look at the list whenever they run.
    let list: &'static [&'static Ready] = Vec::leak(chosen.to_vec());
    let list: &'static List = Box::leak(Box::new(list));
    // It stays open as long as the jumps are there: to close and open it again costs as much as all the rest.
    text_patching::open(list).map_err(|()| InlineHooksRefused::Denied)?;
    text_patching::touch(list);
    let done = while_stopped(list, unsignalled, TIMEOUT, Trust::None, || {
        WRITTEN.store(ptr::from_ref(list).cast_mut(), Ordering::Release);
        let written = text_patching::write(list, Want::Jumps);
        text_patching::synchronize();
        written
    });
    if done.is_err() {
        let _ = text_patching::close(list);
    }
    done
}

/// Takes all jumps back; a child process has done so at its birth.
#[allow(unsafe_code, reason = "the list is published as a raw pointer")]
fn undo(timeout: Duration) -> Result<Duration, InlineHooksRefused> {
    // SAFETY: it points at a list that lives for ever.
    let Some(list) = (unsafe { WRITTEN.load(Ordering::Acquire).as_ref() }) else {
        return Ok(Duration::ZERO);
    };
    let unsignalled = unsignalled(list, timeout)?;
    // Somebody else may have closed it meanwhile.
    text_patching::open(list).map_err(|()| InlineHooksRefused::Denied)?;
    let done = while_stopped(list, &unsignalled, timeout, Trust::Sleeping, || {
        text_patching::write(list, Want::Originals);
        text_patching::synchronize();
        WRITTEN.store(ptr::null_mut(), Ordering::Release);
    });
    if done.is_ok() {
        let _ = text_patching::close(list);
        text_patching::give_back(list);
    }
    done.map(|((), pause)| pause)
}
