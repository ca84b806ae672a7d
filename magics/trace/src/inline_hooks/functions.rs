//! Where the functions of a library begin and end.
//!
//! The names of the file tell; code that has none is found by the call frame information: of a stripped library that is
//! most of it. A piece of it is a function if nothing but the return address is on the stack at its beginning, and if it
//! is not the rarely used part of another function, which is reached by branches alone.

use diaphane_sight::code::symbols::{SymbolKind, Table};
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::spans::{Span, union};
use diaphane_sight::unwind::{Piece, pieces};

use super::text::Text;

/// What code a library has.
#[derive(Debug, Default)]
pub(super) struct FoundFunctions {
    /// The functions in the order of their starts, which are all different.
    pub(super) functions: Vec<Function>,
    /// Parts of functions that lie elsewhere. Their branches count, and nobody calls them.
    pub(super) parts: Vec<Span>,
}

/// A function, or what may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) span: Span,
    /// Whether a name says that it is one.
    pub(super) named: bool,
}

/// Finds the functions of a library.
pub(super) fn functions(library: &Library, text: &Text) -> FoundFunctions {
    let bias = library.image.bias();
    let table = Table::of(library);
    let inside = |span: &Span| text.segment(span.start).is_some();
    let mut found = FoundFunctions::default();
    for (name, kind, start, size) in table.named(bias).places() {
        let span = Span::new(start, start.saturating_add(size));
        if kind != SymbolKind::Function || size == 0 || !inside(&span) {
            continue;
        }
        if is_part(name) {
            found.parts.push(span);
        } else {
            found.functions.push(Function { span, named: true });
        }
    }
    let spans = found.functions.iter().map(|function| function.span);
    let known = union(spans.chain(found.parts.iter().copied()).collect());
    let is_known = |address: usize| {
        let before = known.partition_point(|span| span.start <= address);
        before > 0 && known[before - 1].contains(address)
    };
    let nameless = pieces(&library.image).into_iter();
    for Piece { span, called } in nameless.filter(|piece| inside(&piece.span)) {
        if is_known(span.start) || span.is_empty() {
            continue;
        }
        if called {
            found.functions.push(Function { span, named: false });
        } else {
            found.parts.push(span);
        }
    }
    in_order(&mut found.functions);
    found
}

/// Compilers give the rare part of a function a name of its own.
fn is_part(name: &str) -> bool {
    name.split('.').skip(1).any(|part| part == "cold")
}

/// Of several names for one place the longest function counts.
fn in_order(functions: &mut Vec<Function>) {
    functions.sort_unstable_by_key(|one| (one.span.start, !one.named, usize::MAX - one.span.end));
    functions.dedup_by_key(|one| one.span.start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_their_names() {
        assert!(is_part("array_new.cold") && is_part("f.cold.7") && is_part("g.constprop.0.cold"));
        assert!(!is_part("cold") && !is_part("f.part.0") && !is_part("f.constprop.0"));
    }

    #[test]
    fn one_place_is_one_function() {
        let function = |start, end, named| Function {
            span: Span::new(start, end),
            named,
        };
        let mut functions = vec![
            function(9, 12, true),
            function(1, 3, true),
            function(1, 8, true),
            function(9, 40, false),
        ];
        in_order(&mut functions);
        assert_eq!(functions, [function(1, 8, true), function(9, 12, true)]);
    }
}
