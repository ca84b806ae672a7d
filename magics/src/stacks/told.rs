//! A stack for people: what the thread does or waits for in a sentence, then the user's own lines, and what runs the cell in
//! one line.

use diaphane_report::view;

use crate::session::cell_files::cell_of_file;
use crate::stacks::authors::{Author, own_module};
use crate::stacks::merged::{FrameKind, StackFrame, short};
use crate::stacks::now::ThreadNow;
use crate::stacks::snapshot::Gil;
use crate::stacks::waits::{self, Wait, WaitsFor};

/// Where a Python function stands: `In[3]:5`, or its file.
pub(crate) fn place(call: &StackFrame) -> Option<String> {
    let file = call
        .file
        .as_deref()
        .filter(|_| call.kind == FrameKind::Python)?;
    let home = cell_of_file(file).map_or_else(|| file.to_owned(), |cell| format!("In[{cell}]"));
    let line = call.line.map_or("?".to_owned(), |line| line.to_string());
    Some(format!("{home}:{line}"))
}

/// The functions of the user's code, without those that run the cell; all of them where no cell runs.
pub(crate) fn users(calls: &[StackFrame]) -> &[StackFrame] {
    let end = calls
        .iter()
        .rposition(is_cells)
        .map_or(calls.len(), |last| last + 1);
    &calls[..end]
}

/// The functions that say something: neither the interpreter's own nor the C library's.
pub(crate) fn says_something(calls: &[StackFrame]) -> impl Iterator<Item = &StackFrame> {
    calls.iter().filter(|call| !call.plumbing)
}

/// How many of the innermost functions are the magic that asks, in a cell of its own.
fn of_the_question(calls: &[StackFrame]) -> usize {
    let is_jupyters = |call: &StackFrame| {
        let file = call.file.as_deref().unwrap_or_default();
        call.kind == FrameKind::Python && Author::of(file) == Author::Jupyter
    };
    let begin = calls
        .iter()
        .position(|call| call.file.as_deref().and_then(own_module) == Some("magics"));
    // A magic above a cell runs that, and asks nothing meanwhile.
    let begin = begin.filter(|begin| !calls[..*begin].iter().any(is_cells));
    begin.map_or(0, |begin| {
        let around = calls[begin..].iter();
        let native = |call: &StackFrame| call.kind == FrameKind::Native && call.plumbing;
        begin
            + around
                .take_while(|call| is_jupyters(call) || native(call))
                .count()
    })
}

/// Whether a function stands in a cell.
pub(crate) fn is_cells(call: &StackFrame) -> bool {
    let file = call
        .file
        .as_deref()
        .filter(|_| call.kind == FrameKind::Python);
    file.is_some_and(|file| Author::of(file) == Author::Cell || cell_of_file(file).is_some())
}

/// The function in which a thread waits: one of Python's, else one of the C library.
pub(crate) fn wait(calls: &[StackFrame]) -> Option<Wait> {
    let is_native = |call: &&StackFrame| call.kind == FrameKind::Native;
    let inner = || {
        let native = calls.iter().take_while(is_native);
        let named = |call: &StackFrame| Some((call.function.clone()?, call.index));
        native.filter(|call| call.plumbing).filter_map(named)
    };
    let builtin = inner().find_map(|(name, _)| waits::builtin(&name));
    let exported = || inner().find_map(|(name, _)| waits::exported(&name));
    // Whose code is the next one that is not of the same library.
    let is_pythons = |library| {
        let mut behind = calls.iter().skip_while(|call| call.index != library);
        let caller = behind.find(|call| call.index != library);
        caller.is_some_and(|caller| caller.plumbing || caller.kind == FrameKind::Python)
    };
    let system = || inner().find_map(|(name, library)| waits::system(&name, is_pythons(library)));
    builtin.or_else(exported).or_else(system)
}

/// The library function that the user's line has called, as `Queue.get`.
fn called(calls: &[StackFrame]) -> Option<&str> {
    let users = calls.iter().position(is_cells)?;
    let inner = calls.get(users.checked_sub(1)?)?;
    inner
        .function
        .as_deref()
        .filter(|_| inner.kind == FrameKind::Python)
}

/// What a thread does, in a sentence.
pub(crate) fn sentence(thread: &ThreadNow, holder: Option<&str>) -> Option<String> {
    let calls = &thread.merged.calls;
    let who = match thread.is_main {
        true => "The main thread".to_owned(),
        false => thread.title().replacen('t', "T", 1),
    };
    let users = calls.iter().find(|call| is_cells(call));
    let is_jupyters = |call: &StackFrame| {
        call.kind == FrameKind::Python
            && call
                .file
                .as_deref()
                .is_some_and(|file| Author::of(file) == Author::Jupyter)
    };
    if thread.is_main && users.is_none() && calls.iter().any(is_jupyters) {
        return Some("No cell runs on the main thread: the kernel waits for a request, or is at work itself.".to_owned());
    }
    let line = users.or_else(|| calls.iter().find(|call| call.kind == FrameKind::Python));
    let at = line
        .and_then(place)
        .map_or_else(String::new, |place| format!(" at {place}"));
    if of_the_question(calls) > 0 {
        return Some(format!("{who} asks this question{at}."));
    }
    if thread.gives_way {
        return Some(format!("{who} runs Python{at}."));
    }
    if thread.gil == Some(Gil::Waiting) {
        let whom = holder.map_or_else(String::new, |holder| format!(", which {holder} has"));
        return Some(format!("{who} waits for the GIL{at}{whom}."));
    }
    if thread.state == 'R' {
        return Some(format!("{who} {}.", runs(thread, &at)));
    }
    let Some(wait) = wait(calls) else {
        let name = thread.merged.top_frame()?.function.as_deref()?;
        return Some(format!("{who} waits in {name}{at}."));
    };
    let inside = match called(calls) {
        Some(called) => format!("{called} ({})", wait.builtin),
        None => wait.builtin.to_owned(),
    };
    let what = match wait.on {
        WaitsFor::Time => return Some(format!("{who} sleeps in {inside}{at}.")),
        WaitsFor::Lock => {
            let owner = thread.lock_owner.as_deref();
            let what = owner.map(|owner| format!("a lock that {owner} has"));
            what.unwrap_or_else(|| "a lock or a signal of another thread".to_owned())
        }
        WaitsFor::Child => "a child process".to_owned(),
        WaitsFor::Network => "the other end of a connection".to_owned(),
        WaitsFor::File => "a file or a pipe".to_owned(),
        WaitsFor::Descriptor => "one of several files or connections".to_owned(),
    };
    Some(format!("{who} waits in {inside}{at} for {what}."))
}

/// What a thread does that runs: of native code whose it is, for which function it was called, and how an interrupt fares.
fn runs(thread: &ThreadNow, at: &str) -> String {
    let calls = &thread.merged.calls;
    let first = calls.iter().find(|call| !call.plumbing);
    let name = first.and_then(|call| call.function.as_deref());
    match first.filter(|call| call.kind == FrameKind::Native) {
        None => match name {
            Some("<module>") => format!("runs Python{at}"),
            _ => format!("runs {}{at}", name.unwrap_or("code without a name")),
        },
        Some(call) => {
            let library = call.library.as_deref().map(|name| format!(" of {name}"));
            let called = called(calls).map(|called| format!(", for {called}"));
            let beside = (thread.beside > 0).then(|| format!(", on {} threads", thread.beside + 1));
            let parts = [library, called, Some(at.to_owned()), beside];
            format!(
                "computes in {}{}; an interrupt takes effect when that call returns",
                name.unwrap_or("a function without a name"),
                parts.into_iter().flatten().collect::<String>()
            )
        }
    }
}

/// The lines of a thread: the user's code first, without what runs the cell; or everything.
pub(crate) fn lines(
    thread: &ThreadNow,
    everything: bool,
    text: &dyn Fn(&StackFrame) -> Option<String>,
) -> Vec<String> {
    if everything {
        return thread.lines(true);
    }
    let calls = &thread.merged.calls;
    let own = users(calls);
    let asks = of_the_question(own);
    let mut lines = vec![head(thread, asks)];
    if asks > 0 {
        lines.push("     (this magic)".to_owned());
    }
    for call in says_something(&own[asks..]) {
        let mark = if call.kind == FrameKind::Python {
            "py"
        } else {
            "  "
        };
        let shown = match place(call) {
            Some(place) => format!(
                "{}  {}",
                short(&place),
                call.function.as_deref().unwrap_or("?")
            ),
            None => call.line(),
        };
        let text = text(call).map_or_else(String::new, |text| format!("    {text}"));
        lines.push(format!("  {mark} {shown}{text}"));
    }
    let rest = calls.len() - own.len();
    if rest > 0 {
        lines.push(format!(
            "     and {rest} more, which run the cell (--native shows them)"
        ));
    }
    lines.extend(
        thread
            .merged
            .remarks
            .iter()
            .map(|remark| format!("     ({remark})")),
    );
    lines
}

/// The name and the state of a thread.
fn head(thread: &ThreadNow, asks: usize) -> String {
    let state = match thread.state {
        'R' => "runs",
        'S' => "sleeps",
        'D' => "waits for a device",
        'T' | 't' => "is stopped",
        _ => "",
    };
    let gil = match thread.gil {
        Some(Gil::Holder) => ", has the GIL",
        Some(Gil::Waiting) => ", waits for the GIL",
        Some(Gil::None) | None => "",
    };
    let stopped = thread.stopped.map_or_else(String::new, |time| {
        format!(", was stopped for {}", view::time(time.as_nanos() as f64))
    });
    let wait = wait(&thread.merged.calls).filter(|_| thread.state != 'R');
    let state = if asks > 0 {
        "asks this question"
    } else {
        state
    };
    let inside = wait.map_or_else(String::new, |wait| format!(" in {}", wait.builtin));
    format!(
        "thread {} {} ({}){gil}: {state}{inside}{stopped}",
        thread.tid, thread.name, thread.state
    )
}
