//! What is remarkable about listed buffers: views, small views of large owners, read-only memory.

mod backing;
mod sharing;

use std::collections::BTreeMap;

use diaphane_sight::proc::spans::Layout;

use super::Listed;
use diaphane_report::view::bytes;
use diaphane_report::{Diagnosis, Severity};

/// An owner at least this large is worth a word when little of it is used.
const LARGE: usize = 1_000_000;

/// How many times larger than its views.
const TIMES: usize = 10;

pub(super) fn all(listed: &[Listed<'_>]) -> Vec<Diagnosis> {
    let mut views: BTreeMap<usize, Vec<&Listed<'_>>> = BTreeMap::new();
    for one in listed
        .iter()
        .filter(|one| one.buffer.is_ok() && !one.owner.is_self)
        // What pandas shares it copies before it writes, which is told by B005.
        .filter(|one| !sharing::is_pandas(one) || one.owner.name.is_none())
    {
        views.entry(one.owner.id).or_default().push(one);
    }
    let views = views
        .values()
        .filter_map(|views| pinned(views).or_else(|| shared(views)));
    let findings = views.chain(read_only(listed));
    findings
        .chain(sharing::all(listed))
        .chain(backing::all(listed))
        .collect()
}

/// Views of an owner that has a name.
fn shared(views: &[&Listed<'_>]) -> Option<Diagnosis> {
    let owner = views.first()?.owner.name.as_deref()?;
    let title = match views {
        [view] => match offset(view) {
            Some(offset @ 1..) => format!(
                "{} is a view of {owner}, starting {offset} bytes in.",
                view.name
            ),
            _ => format!("{} is a view of {owner}.", view.name),
        },
        _ => format!("{} are views of {owner}.", names(views)),
    };
    Some(Diagnosis {
        code: "B001",
        severity: Severity::Info,
        title,
        evidence: views.iter().map(|view| evidence(view)).collect(),
        fix: format!(
            "Writing to {owner} changes them where they overlap; .copy() makes an array of its own."
        ),
    })
}

/// Views that keep alive much more than they show, of an owner that nobody can name.
fn pinned(views: &[&Listed<'_>]) -> Option<Diagnosis> {
    let owner = &views.first()?.owner;
    let whole = owner.span.filter(|_| owner.name.is_none())?.len();
    let used: usize = views
        .iter()
        .filter_map(|view| view.layout())
        .map(Layout::listed)
        .sum();
    (whole >= LARGE && used.saturating_mul(TIMES) <= whole).then(|| Diagnosis {
        code: "B003",
        severity: Severity::Warn,
        title: format!(
            "{} ({}) keeps {} alive that no variable names.",
            names(views),
            bytes(used as f64),
            bytes(whole as f64)
        ),
        evidence: views.iter().map(|view| evidence(view)).collect(),
        fix: format!(
            "{0} = {0}.copy() lets go of the rest, if nothing else holds it.",
            views[0].name
        ),
    })
}

/// Arrays and memoryviews that cannot be written; `bytes` and Arrow's buffers never can, which is no news.
fn read_only(listed: &[Listed<'_>]) -> Option<Diagnosis> {
    let is_news = |one: &&Listed<'_>| {
        one.buffer.as_ref().is_ok_and(|buffer| {
            let is_arrow = buffer.owner_span.is_some();
            !buffer.writeable && !is_arrow && buffer.kind != "bytes"
        })
    };
    let closed: Vec<&Listed<'_>> = listed.iter().filter(is_news).collect();
    let verb = if closed.len() > 1 { "are" } else { "is" };
    (!closed.is_empty()).then(|| Diagnosis {
        code: "B006",
        severity: Severity::Info,
        title: format!("{} {verb} read-only.", names(&closed)),
        evidence: closed
            .iter()
            .map(|one| format!("{}: memory of {}", one.name, one.owner.kind))
            .collect(),
        fix: "A copy can be written to.".into(),
    })
}

fn offset(view: &Listed<'_>) -> Option<usize> {
    view.layout()?
        .bounds()
        .start
        .checked_sub(view.owner.span?.start)
}

fn evidence(view: &Listed<'_>) -> String {
    let bounds = view.layout().map(Layout::bounds);
    let place = bounds
        .map(|span| format!("{:#x}-{:#x}", span.start, span.end))
        .unwrap_or_default();
    let inside = view
        .owner
        .span
        .map(|span| format!(" in {:#x}-{:#x}", span.start, span.end))
        .unwrap_or_default();
    format!("{}: {place}{inside}", view.name)
}

/// At most three names, and how many more.
fn names(listed: &[&Listed<'_>]) -> String {
    let mut names: Vec<&str> = listed.iter().take(3).map(|one| one.name.as_str()).collect();
    let more = format!("{} more", listed.len().saturating_sub(names.len()));
    if listed.len() > names.len() {
        names.push(&more);
    }
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}
