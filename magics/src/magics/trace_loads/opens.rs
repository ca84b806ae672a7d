//! Which files were opened, and which were looked for in vain.

use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::search::{Attempt, Rule, Rules, chain, is_same, requesters};
use syscalls::Errno;

/// How it is known that a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The system call was seen.
    Syscall,
    /// Computed again by the rules of the linker.
    Inferred,
}

/// One file that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenAttempt {
    pub at: Option<u64>,
    pub path: String,
    /// The call as it is written in C, up to the path, and what stands behind the path.
    pub written: Option<(String, String)>,
    /// The descriptor, or the negative number of the error; `None` where it was not seen.
    pub result: Option<i32>,
    pub failed: bool,
    pub took_ns: Option<u64>,
    /// Whether the dynamic linker opened it.
    pub by_linker: bool,
    pub source: Source,
    /// The index of the library that it was tried for.
    pub library: Option<usize>,
}

impl OpenAttempt {
    /// What came of it, in a word.
    pub fn word(&self) -> String {
        match self.result {
            Some(result) if result < 0 => name(-result),
            Some(_) => "ok".into(),
            None if self.failed => "ENOENT".into(),
            None => "ok".into(),
        }
    }

    /// As strace writes it; a question mark stands for what was not seen.
    fn strace(&self) -> String {
        let result = match self.result {
            Some(result) if result < 0 => failure(-result),
            Some(result) => result.to_string(),
            None if self.failed => failure(libc::ENOENT),
            None => "?".into(),
        };
        let (before, behind) = match &self.written {
            Some((before, behind)) => (before.as_str(), behind.as_str()),
            None => ("openat(AT_FDCWD, ", ", O_RDONLY|O_CLOEXEC)"),
        };
        format!("{before}\"{}\"{behind} = {result}", escaped(&self.path))
    }
}

/// The lines of strace.
pub(super) fn strace(opens: &[OpenAttempt], only_failed: bool) -> Vec<String> {
    let wanted = opens.iter().filter(|open| !only_failed || open.failed);
    wanted.map(OpenAttempt::strace).collect()
}

fn name(number: i32) -> String {
    let known = Errno::new(number).name();
    known.map_or_else(|| format!("error {number}"), str::to_owned)
}

fn failure(number: i32) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("-1 {} ({text})", name(number))
}

/// As strings are written in C.
fn escaped(path: &str) -> String {
    let mut text = String::new();
    for letter in path.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            other if other.is_control() => text.push_str(&format!("\\{:o}", other as u32)),
            other => text.push(other),
        }
    }
    text
}

/// What the linker's rules say of the way to a library.
pub(super) struct FoundBy {
    pub rule: Option<Rule>,
    pub missed: Vec<String>,
}

/// The rules applied again: the files before the one that is loaded, and the rule behind that one.
pub(super) fn way(
    name: &str,
    asker: Option<usize>,
    own: &Library,
    all: &[Library],
    rules: &Rules,
) -> FoundBy {
    let askers = requesters(all);
    let chain = asker.map_or_else(Vec::new, |asker| chain(all, &askers, asker));
    let attempts = rules.attempts(name, &chain);
    let hit = attempts
        .iter()
        .position(|attempt| is_same(&attempt.path, own));
    let missed = |attempt: &&Attempt| !attempt.path.exists();
    let before = attempts.iter().take(hit.unwrap_or(0)).filter(missed);
    FoundBy {
        rule: hit.map(|hit| attempts[hit].rule.clone()),
        missed: before
            .map(|attempt| attempt.path.to_string_lossy().into_owned())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_strace() {
        let open = |path: &str, result| OpenAttempt {
            at: None,
            path: path.into(),
            written: None,
            result,
            failed: result.is_some_and(|result| result < 0),
            took_ns: None,
            by_linker: true,
            source: Source::Syscall,
            library: None,
        };
        let lines = strace(
            &[
                open("/lib/a\"\n.so", Some(3)),
                open("/b", Some(-2)),
                open("/c", None),
            ],
            false,
        );
        assert_eq!(
            lines,
            [
                r#"openat(AT_FDCWD, "/lib/a\"\n.so", O_RDONLY|O_CLOEXEC) = 3"#,
                r#"openat(AT_FDCWD, "/b", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)"#,
                r#"openat(AT_FDCWD, "/c", O_RDONLY|O_CLOEXEC) = ?"#,
            ]
        );
    }
}
