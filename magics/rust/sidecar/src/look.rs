//! Says what could stand, or what stands, at a place of a cell that is being written, on a thread of its own: neither a
//! build waits for it, nor it for a build.
//!
//! What is known at once is told at once. The rest is told when rust-analyzer has read the sources, which takes seconds the
//! first time that somebody asks.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use diaphane_rust_protocol::{Answer, Compile, Completion, Form, Found, Look};

use crate::analyzer::Analyzer;
use crate::code::{self, Code};
use crate::items::{Divided, Kept};
use crate::nesting;
use crate::serve::say;

/// What later cells can use.
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub items: Vec<Kept>,
    /// The lines of a manifest below `[dependencies]`, without arrays and with them.
    pub dependencies: [String; 2],
    pub with_views: bool,
}

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where the crate to analyse is written.
    pub folder: PathBuf,
    /// Which versions cells are built with.
    pub lock: PathBuf,
    /// The compiler's folder, and that of the sources of its library; an empty one, if the user has none.
    pub sysroot: PathBuf,
    pub library: PathBuf,
}

/// Answers questions about places.
pub struct Looker {
    questions: Sender<(Look, Session)>,
}

/// The session, which builds change and the reading thread asks for.
static SESSION: Mutex<Option<Session>> = Mutex::new(None);

/// Says what later cells can use.
pub fn remember(session: Session) {
    if let Ok(mut known) = SESSION.lock() {
        *known = Some(session);
    }
}

impl Looker {
    /// Starts the thread. It reads nothing before it is asked.
    pub fn start(places: Places) -> std::io::Result<Self> {
        let (questions, receiver) = channel();
        thread::Builder::new()
            .stack_size(nesting::STACK)
            .spawn(move || answer_all(&places, &receiver))?;
        Ok(Self { questions })
    }

    /// Answers at once with what is known, and has the rest answered.
    pub fn look(&self, look: Look) {
        if nesting::is_too_deep(&look.cell.source) {
            return tell(nothing(&look));
        }
        let session = SESSION.lock().ok().and_then(|session| session.clone());
        let session = session.unwrap_or_default();
        let mut found = known_names(&look, &session.items);
        found.is_all = self.questions.send((look, session)).is_err();
        tell(found);
    }
}

/// The answer of one who knows nothing.
pub fn nothing(look: &Look) -> Found {
    Found {
        number: look.number,
        is_all: true,
        start: look.at,
        end: look.at,
        ..Found::default()
    }
}

/// Answers.
pub fn tell(found: Found) {
    // The kernel has gone if it does not listen, and so will this process.
    let _ = say(&Answer::Found(found));
}

/// The names of items and of what is borrowed that begin as the word at the place, if it stands alone.
fn known_names(look: &Look, items: &[Kept]) -> Found {
    let before = look.cell.source.get(..look.at).unwrap_or_default();
    let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let start = before.trim_end_matches(is_of_name).len();
    let typed = &before[start..];
    let mut found = Found {
        number: look.number,
        start,
        end: look.at,
        ..Found::default()
    };
    if look.explain || before[..start].ends_with(['.', ':']) {
        return found;
    }
    let borrowed = look.cell.binds.iter().map(|bind| (&bind.name, "instance"));
    let named = items.iter().filter(|item| item.kind != "impl");
    let items = named.map(|item| {
        let kind = match item.kind {
            "fn" | "macro" => "function",
            "mod" => "module",
            "const" | "static" => "instance",
            _ => "class",
        };
        (&item.name, kind)
    });
    for (name, kind) in borrowed.chain(items) {
        if name.starts_with(typed) {
            found.completions.push(Completion {
                text: name.clone(),
                kind: kind.to_owned(),
                signature: String::new(),
            });
        }
    }
    found
}

fn answer_all(places: &Places, questions: &Receiver<(Look, Session)>) {
    let mut loaded: Option<(Analyzer, String)> = None;
    while let Ok(mut asked) = questions.recv() {
        // Whoever asked before has asked again.
        while let Ok(newer) = questions.try_recv() {
            asked = newer;
        }
        let (look, session) = asked;
        let number = look.number;
        let answer = AssertUnwindSafe(|| answer(places, &mut loaded, &look, &session));
        let found = match panic::catch_unwind(answer) {
            Ok(found) => found,
            Err(_) => {
                // What it knows may be half of something.
                loaded = None;
                None
            }
        };
        let mut found = found.unwrap_or_else(|| known_names(&look, &session.items));
        found.number = number;
        found.is_all = true;
        tell(found);
    }
}

fn answer(
    places: &Places,
    loaded: &mut Option<(Analyzer, String)>,
    look: &Look,
    session: &Session,
) -> Option<Found> {
    let views = look.cell.binds.iter();
    let with_views = session.with_views
        || look.cell.source.contains("ndarray")
        || views
            .into_iter()
            .any(|bind| matches!(bind.form, Form::View(_)));
    let dependencies = &session.dependencies[usize::from(with_views)];
    if loaded
        .as_ref()
        .is_none_or(|(_, known)| known != dependencies)
    {
        *loaded = None;
        *loaded = Some((load(places, dependencies)?, dependencies.clone()));
    }
    let (analyzer, _) = loaded.as_mut()?;
    let divided = Divided {
        items: Vec::new(),
        lets: Vec::new(),
        tail: None,
        rest: without_commands(&look.cell.source),
    };
    let code = code::write(
        &look.cell,
        &without(&session.items, &look.cell),
        &divided,
        &[],
    );
    let mut found = Found {
        start: look.at,
        end: look.at,
        ..Found::default()
    };
    for (text, body) in variants(&code, places.library.join("std/src").is_dir())? {
        analyzer.set(&text);
        if look.explain {
            explain(analyzer, look, body, &mut found);
        } else {
            complete(analyzer, look, body, &mut found);
        }
    }
    Some(found)
}

/// The source, and where the user's statements begin in it.
///
/// Without the standard library rust-analyzer does not know that a view can do what the array can, so there is a second
/// source, in which what is borrowed are arrays.
fn variants(code: &Code, has_library: bool) -> Option<Vec<(String, usize)>> {
    let body = code.body?;
    let (above, rest) = code.text.split_at(body);
    let mut variants = vec![(code.text.clone(), body)];
    if !has_library && above.contains("::ArrayView") {
        let above = above.replace("ArrayViewMut<'_, ", "ArrayRef<");
        let above = above.replace("ArrayView<'_, ", "ArrayRef<");
        variants.push((above.clone() + rest, above.len()));
    }
    Some(variants)
}

/// Adds what could stand at the place.
fn complete(analyzer: &Analyzer, look: &Look, body: usize, found: &mut Found) {
    let (range, completions) = analyzer.complete(body + look.at);
    if completions.is_empty() || range.start < body {
        return;
    }
    found.start = range.start - body;
    for one in completions {
        if !found.completions.iter().any(|known| known.text == one.text) {
            found.completions.push(one);
        }
    }
}

/// Tells what stands at the place, if that is not known yet.
fn explain(analyzer: &Analyzer, look: &Look, body: usize, found: &mut Found) {
    let word = word_at(&look.cell.source, look.at);
    let told = word.and_then(|at| analyzer.explain(body + at));
    if let Some((plain, markdown)) = told.filter(|_| found.plain.is_empty()) {
        // All of a cell is in one module of ours.
        found.plain = plain.replacen("ctx::cell\n\n", "", 1);
        found.markdown = markdown
            .trim_start()
            .replacen("```rust\nctx::cell\n```\n\n", "", 1);
    }
}

/// A byte of the word at a place, or of the one before: behind the bracket of a call it is the function that is asked for.
fn word_at(source: &str, at: usize) -> Option<usize> {
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (before, after) = (source.get(..at)?, source.get(at..)?);
    if after.starts_with(is_of_word) {
        return Some(at);
    }
    let end = before.trim_end_matches(|letter| !is_of_word(letter)).len();
    let word = before[..end].trim_end_matches(is_of_word).len();
    Some(word)
}

/// The items of other cells. The cell's own may be there from when it ran last.
fn without(items: &[Kept], cell: &Compile) -> Vec<Kept> {
    let defines = |item: &Kept| {
        let heads = [format!("{} {}", item.kind, item.name)];
        heads.iter().any(|head| cell.source.contains(head.as_str()))
    };
    items
        .iter()
        .filter(|item| !defines(item))
        .cloned()
        .collect()
}

/// The source with blanks in the place of lines that are no Rust.
fn without_commands(source: &str) -> String {
    let lines = source.split_inclusive('\n').map(|line| {
        if line.starts_with(':') {
            let end = if line.ends_with('\n') { "\n" } else { "" };
            " ".repeat(line.len() - end.len()) + end
        } else {
            line.to_owned()
        }
    });
    lines.collect()
}

fn load(places: &Places, dependencies: &str) -> Option<Analyzer> {
    let manifest = format!(
        "[package]\nname = \"ctx\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[lib]\npath = \"src/lib.rs\"\n\
         [dependencies]\n{dependencies}"
    );
    write(&places.folder.join("Cargo.toml"), &manifest)?;
    write(&places.folder.join("src/lib.rs"), "")?;
    // The versions are those of the builds; without builds there are none to be kept.
    let _ = fs::copy(&places.lock, places.folder.join("Cargo.lock"));
    Analyzer::load(&places.folder, &places.sysroot, &places.library).ok()
}

fn write(path: &Path, text: &str) -> Option<()> {
    fs::create_dir_all(path.parent()?).ok()?;
    fs::write(path, text).ok()
}
