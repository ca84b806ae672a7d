//! What is remarkable about listed buffers: views, small views of large owners, read-only memory.

mod backing;
mod sharing;

use std::collections::{BTreeMap, HashSet};

use diaphane_sight::proc::spans::Layout;

use super::{Listed, answer};
use diaphane_report::view::bytes;
use diaphane_report::{Diagnosis, Severity};

/// An owner at least this large is worth a word when little of it is used.
const LARGE: usize = 1_000_000;

/// How many times larger than its views.
const TIMES: usize = 10;

/// About the first `asked`; where they have been named, also about those that are views of them.
pub(super) fn all(listed: &[Listed<'_>], asked: usize, is_named: bool) -> Vec<Diagnosis> {
    let mut views: BTreeMap<usize, Vec<&Listed<'_>>> = BTreeMap::new();
    let told = if is_named { listed.len() } else { asked };
    for one in listed[..told]
        .iter()
        .filter(|one| one.buffer.is_ok() && !one.owner.is_self)
        // What pandas shares it copies before it writes, which is told by B005.
        .filter(|one| !sharing::is_pandas(one) || one.owner.name.is_none())
    {
        views.entry(one.owner.id).or_default().push(one);
    }
    let (small, others): (Vec<_>, Vec<_>) = views.into_values().partition(|views| is_pinned(views));
    let findings = pinned(&small)
        .into_iter()
        .chain(views_of_owners(&others, listed));
    findings
        .chain(read_only(&listed[..asked]))
        .chain(sharing::all(listed, asked))
        .chain(backing::all(&listed[..asked]))
        .collect()
}

/// Views of owners that have names: one finding an owner, and of many owners one for all.
fn views_of_owners(owners: &[Vec<&Listed<'_>>], listed: &[Listed<'_>]) -> Vec<Diagnosis> {
    const FEW: usize = 3;
    let found: Vec<Diagnosis> = owners
        .iter()
        .filter_map(|views| shared(views, listed))
        .collect();
    if found.len() <= FEW {
        return found;
    }
    let owned = |views: &&Vec<&Listed<'_>>| views[0].owner.name.is_some();
    let views: Vec<&Listed<'_>> = owners.iter().filter(owned).flatten().copied().collect();
    let title = format!(
        "{} are views of {} other buffers.",
        names(&views),
        found.len()
    );
    vec![Diagnosis {
        code: "B001",
        severity: Severity::Info,
        title,
        evidence: views.iter().map(|view| evidence(view)).collect(),
        fix: "Writing to one that can be written changes the other where they overlap; .copy() makes an array of its own."
            .into(),
    }]
}

/// Views of an owner that has a name, or several of one without.
fn shared(views: &[&Listed<'_>], listed: &[Listed<'_>]) -> Option<Diagnosis> {
    let first = views.first()?;
    let nameless = format!("the same nameless {}", first.owner.kind);
    let is_told = views.len() > 1 && !views.iter().any(|view| sharing::is_pandas(view));
    let owner = first.owner.name.as_deref();
    let owner = owner.or(is_told.then_some(nameless.as_str()))?;
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
            "{} .copy() makes an array of its own.",
            writing(owner, views, listed)
        ),
    })
}

/// What a write would do, by who can be written.
fn writing(owner: &str, views: &[&Listed<'_>], listed: &[Listed<'_>]) -> String {
    let id = views[0].owner.id;
    let of_owner = listed
        .iter()
        .filter(|one| one.owner.is_self && one.owner.id == id);
    let mut of_owner = of_owner.filter_map(|one| one.buffer.as_ref().ok());
    let (whole, them) = (of_owner.next(), names(views));
    let is_open = |one: &&&Listed<'_>| one.buffer.as_ref().is_ok_and(|view| view.writeable);
    let open: Vec<&Listed<'_>> = views.iter().filter(is_open).copied().collect();
    match whole.map(|whole| (whole.writeable, whole.copies_before_write)) {
        Some((_, Some(true))) => format!(
            "pandas copies {owner} before the next write to it (Copy-on-Write), and {them} will show what was there before."
        ),
        Some((false, _)) if open.is_empty() => {
            format!("Neither {owner} nor {them} can be written.")
        }
        Some((false, _)) => format!("Writing to {} changes {owner}.", names(&open)),
        None => "Writing to one that can be written changes the other where they overlap.".into(),
        Some((true, _)) => format!("Writing to {owner} changes {them} where they overlap."),
    }
}

/// Whether views keep alive much more than they show, of an owner that nobody can name.
fn is_pinned(views: &[&Listed<'_>]) -> bool {
    let owner = &views[0].owner;
    let whole = owner.span.filter(|_| owner.name.is_none());
    whole.is_some_and(|whole| shown(views).saturating_mul(TIMES) <= whole.len())
}

/// What views show.
fn shown(views: &[&Listed<'_>]) -> usize {
    let layouts = views.iter().filter_map(|view| view.layout());
    layouts.map(Layout::listed).sum()
}

/// Such views, of one owner or of many.
fn pinned(owners: &[Vec<&Listed<'_>>]) -> Option<Diagnosis> {
    let whole = owners.iter().filter_map(|views| views[0].owner.span);
    let whole: usize = whole.map(|span| span.len()).sum();
    let views: Vec<&Listed<'_>> = owners.iter().flatten().copied().collect();
    let verb = if views.len() > 1 { "keep" } else { "keeps" };
    (whole >= LARGE).then(|| Diagnosis {
        code: "B003",
        severity: Severity::Warn,
        title: format!(
            "{} ({}) {verb} {} alive that no variable names.",
            names(&views),
            bytes(shown(&views) as f64),
            bytes(whole as f64)
        ),
        evidence: views.iter().map(|view| evidence(view)).collect(),
        fix: match views.as_slice() {
            [view] => format!(
                "{0} = {0}.copy() lets go of the rest, if nothing else holds it.",
                view.name
            ),
            _ => "A .copy() in place of each lets go of the rest, if nothing else holds it.".into(),
        },
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

/// At most three names of rows, and how many more.
fn names(listed: &[&Listed<'_>]) -> String {
    let mut seen = HashSet::new();
    let all = listed.iter().map(|one| one.row_name.as_str());
    let all: Vec<&str> = all.filter(|name| seen.insert(*name)).collect();
    answer::named(&all)
}
