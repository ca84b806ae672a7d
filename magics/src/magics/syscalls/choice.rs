//! Which calls are wanted: strace's own way to say it.

use super::signatures::{GROUP_NAMES, exists, is_in};
use diaphane_report::spelling::did_you_mean;

/// Names and groups, or all but those.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CallFilter {
    negated: bool,
    parts: Vec<String>,
}

impl CallFilter {
    /// Whether a call is wanted.
    pub fn takes(&self, name: &str) -> bool {
        let is_named = |part: &String| match part.strip_prefix('%') {
            Some(group) => is_in(name, group),
            None => part == name,
        };
        self.parts.is_empty() || self.parts.iter().any(is_named) != self.negated
    }
}

/// Reads what stands on the line.
pub(super) fn parse(text: &str) -> Result<CallFilter, String> {
    let (negated, names) = match text.strip_prefix('!') {
        Some(names) => (true, names),
        None => (false, text),
    };
    let parts: Vec<String> = names.split(',').map(str::to_owned).collect();
    for part in &parts {
        match part.strip_prefix('%') {
            Some(group) if GROUP_NAMES.contains(&group) => {}
            Some(group) => {
                let meant = did_you_mean(group, GROUP_NAMES);
                return Err(format!(
                    "no group %{group}{meant}; groups: %{}",
                    GROUP_NAMES.join(" %")
                ));
            }
            None if exists(part) => {}
            None => {
                let names = ::syscalls::Sysno::iter().map(|call| call.name());
                let meant = did_you_mean(part, names);
                return Err(format!("no system call {part:?}{meant}"));
            }
        }
    }
    Ok(CallFilter { negated, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_as_for_strace() {
        let takes = |set: &str, name: &str| parse(set).unwrap().takes(name);
        assert!(takes("openat,close", "close") && !takes("openat,close", "read"));
        assert!(takes("%file", "openat") && !takes("%file", "read"));
        assert!(!takes("!futex,%memory", "mmap") && takes("!futex,%memory", "read"));
        assert!(CallFilter::default().takes("anything"));
        assert!(parse("%fil").unwrap_err().contains("did you mean"));
        assert!(parse("opnat").unwrap_err().contains("did you mean"));
    }
}
