//! The items of cells: functions, types, macros, imports. They are taken out of the cell that has them and given to every
//! later cell, until another cell has one of the same name.

use std::ops::Range;

use diaphane_rust_protocol::Item as Known;
use ra_ap_syntax::ast::{self, HasModuleItem, HasName, Item, Stmt};
use ra_ap_syntax::{AstNode, Edition, SourceFile};

use crate::uses;

/// A cell, divided.
pub struct Divided {
    /// The items, in their order.
    pub items: Vec<Kept>,
    /// The variables of its outermost level.
    pub lets: Vec<Let>,
    /// Where the last expression stands, if it has a value to display.
    pub tail: Option<Range<usize>>,
    /// The cell with blanks in the place of items.
    pub rest: String,
}

/// A variable, with its type where that is written.
pub struct Let {
    pub name: String,
    pub rust: Option<String>,
    /// From 0, in the cell.
    pub line: u32,
}

/// An item, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What must not be there twice.
    pub keys: Vec<String>,
    /// What it is, in Rust's word.
    pub kind: &'static str,
    /// Its name or its head.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The number of the cell.
    pub cell: u32,
    /// Its first line, from 1, and the characters before it on that line.
    pub line: u32,
    pub column: u32,
    /// A `use` item, one for each name, for the time when it is no longer new.
    pub apart: Vec<uses::Import>,
}

impl Divided {
    /// The heads of its items, if there is nothing else in it.
    pub fn only_defines(&self) -> Vec<String> {
        let mut lines = self.rest.lines().map(str::trim);
        match lines.all(|line| line.is_empty() || line.starts_with("//")) {
            true => self.items.iter().map(Kept::head).collect(),
            false => Vec::new(),
        }
    }
}

impl Kept {
    /// What it is and how it is called: of a function what it takes and gives, too.
    fn head(&self) -> String {
        let signature = self.text.find(&format!("fn {}", self.name));
        let signature = signature.filter(|_| self.kind == "fn").map(|start| {
            let text = self.text[start..]
                .split(['{', ';'])
                .next()
                .unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        signature.unwrap_or_else(|| format!("{} {}", self.kind, self.name))
    }

    /// The same for a report.
    pub fn known(&self) -> Known {
        Known {
            kind: self.kind.to_owned(),
            name: self.name.clone(),
            cell: self.cell,
        }
    }
}

const HEAD: &str = "fn main() {\n";

/// Divides a cell. Where it is no Rust, all of it is the rest, and rustc says what is wrong.
pub fn divide(source: &str, cell: u32, lines_above: u32) -> Divided {
    let whole = format!("{HEAD}{source}\n}}");
    let parsed = SourceFile::parse(&whole, Edition::Edition2024);
    let mut divided = Divided {
        items: Vec::new(),
        lets: Vec::new(),
        tail: None,
        rest: source.to_owned(),
    };
    let body = match parsed.tree().items().next() {
        Some(Item::Fn(main)) if parsed.errors().is_empty() => main.body(),
        _ => None,
    };
    let Some(statements) = body.and_then(|body| body.stmt_list()) else {
        return divided;
    };
    for statement in statements.statements() {
        if let Stmt::LetStmt(statement) = &statement {
            divided.lets.extend(variable(statement, source));
        }
        if let Stmt::Item(item) = statement
            && let Some((kind, name, keys)) = describe(&item)
        {
            let range = place(&item);
            let above = &source[..range.start];
            let line = above.matches('\n').count() as u32;
            let column = above.rsplit('\n').next().unwrap_or_default();
            divided.items.push(Kept {
                keys,
                kind,
                name,
                text: source[range.clone()].to_owned(),
                cell,
                line: lines_above + 1 + line,
                column: column.chars().count() as u32,
                apart: match &item {
                    Item::Use(item) => uses::imports(item),
                    _ => Vec::new(),
                },
            });
            blank(&mut divided.rest, range);
        }
    }
    let tail = statements.tail_expr().filter(|tail| !never_ends(tail));
    divided.tail = tail.map(|tail| place(&tail));
    divided
}

/// The variable of a statement that makes just one.
fn variable(statement: &ast::LetStmt, source: &str) -> Option<Let> {
    let Some(ast::Pat::IdentPat(name)) = statement.pat() else {
        return None;
    };
    let above = &source[..place(statement).start];
    Some(Let {
        name: name.name()?.text().trim_start_matches("r#").to_owned(),
        rust: statement.ty().map(|ty| ty.syntax().text().to_string()),
        line: above.matches('\n').count() as u32,
    })
}

/// Whether an expression has no value that could be displayed, since nothing comes behind it.
fn never_ends(tail: &ast::Expr) -> bool {
    match tail {
        ast::Expr::ReturnExpr(_) => true,
        ast::Expr::LoopExpr(tail) => !tail.syntax().text().to_string().contains("break"),
        ast::Expr::MacroExpr(tail) => {
            let path = tail.macro_call().and_then(|call| call.path());
            let name = path.map(|path| path.syntax().text().to_string());
            let name = name.unwrap_or_default();
            ["panic", "todo", "unimplemented", "unreachable"].contains(&name.as_str())
        }
        _ => false,
    }
}

/// Where a node stands in the cell.
fn place(node: &impl AstNode) -> Range<usize> {
    let range = node.syntax().text_range();
    usize::from(range.start()) - HEAD.len()..usize::from(range.end()) - HEAD.len()
}

/// Puts blanks over a range; lines and columns stay.
fn blank(text: &mut String, range: Range<usize>) {
    let blanks: String = text[range.clone()]
        .chars()
        .flat_map(|letter| match letter {
            '\n' => "\n".chars(),
            // As many bytes as before, so that other ranges stay right.
            _ => "    "[..letter.len_utf8()].chars(),
        })
        .collect();
    text.replace_range(range, &blanks);
}

/// What an item is, its name, and what must not be there twice. Nothing for a macro call, which is a statement.
fn describe(item: &Item) -> Option<(&'static str, String, Vec<String>)> {
    let named = |kind: &'static str, name: Option<ast::Name>| {
        let name = name?.text().to_string();
        Some((kind, name.clone(), vec![name]))
    };
    match item {
        Item::Const(item) => named("const", item.name()),
        Item::Enum(item) => named("enum", item.name()),
        Item::Fn(item) => named("fn", item.name()),
        Item::Module(item) => named("mod", item.name()),
        Item::Static(item) => named("static", item.name()),
        Item::Struct(item) => named("struct", item.name()),
        Item::Trait(item) => named("trait", item.name()),
        Item::TypeAlias(item) => named("type", item.name()),
        Item::Union(item) => named("union", item.name()),
        Item::MacroRules(item) => {
            let name = item.name()?.text().to_string();
            Some(("macro", name.clone(), vec![format!("{name}!")]))
        }
        Item::Impl(item) => Some(described_impl(item)),
        Item::Use(item) => {
            let imports = uses::imports(item);
            let keys: Vec<_> = imports
                .into_iter()
                .map(|(name, text)| name.unwrap_or(text))
                .collect();
            Some(("use", keys.join(", "), keys))
        }
        Item::MacroCall(_) => None,
        other => {
            let text = other.syntax().text().to_string();
            Some(("item", text.lines().next()?.to_owned(), vec![text]))
        }
    }
}

/// An `impl` of a trait is there once; one without a trait may be there again with other functions.
fn described_impl(item: &ast::Impl) -> (&'static str, String, Vec<String>) {
    let whole = item.syntax().text().to_string();
    let head = whole.split('{').next().unwrap_or_default();
    let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
    let inside = item.assoc_item_list().into_iter();
    let names = inside
        .flat_map(|list| list.assoc_items())
        .filter_map(|item| match item {
            ast::AssocItem::Fn(item) => item.name(),
            ast::AssocItem::Const(item) => item.name(),
            ast::AssocItem::TypeAlias(item) => item.name(),
            ast::AssocItem::MacroCall(_) => None,
        });
    let keys = match item.trait_() {
        Some(_) => vec![head.clone()],
        None => names.map(|name| format!("{head}::{name}")).collect(),
    };
    (
        "impl",
        head.trim_start_matches("impl").trim().to_owned(),
        keys,
    )
}

/// What a cell adds to the items before it.
pub fn merged(before: &[Kept], new: &[Kept]) -> Vec<Kept> {
    let is_new = |key: &String| new.iter().any(|item| item.keys.contains(key));
    let mut all: Vec<Kept> = before
        .iter()
        .filter(|item| !item.keys.iter().any(is_new))
        .cloned()
        .collect();
    all.extend(new.iter().cloned());
    // A macro must stand above its use.
    all.sort_by_key(|item| item.kind != "macro");
    all
}

/// The items as later cells get them: `use` with one name each.
pub fn settled(items: Vec<Kept>) -> Vec<Kept> {
    items
        .into_iter()
        .flat_map(|item| {
            if item.apart.is_empty() {
                return vec![item];
            }
            let one = |(name, text): &uses::Import| Kept {
                keys: vec![name.clone().unwrap_or_else(|| text.clone())],
                name: name.clone().unwrap_or_else(|| text.clone()),
                text: text.clone(),
                apart: Vec::new(),
                ..item.clone()
            };
            item.apart.iter().map(one).collect()
        })
        .collect()
}

/// Whether cells see no difference.
pub fn are_same(before: &[Kept], after: &[Kept]) -> bool {
    let texts = |items: &[Kept]| {
        let mut texts: Vec<_> = items.iter().map(|item| item.text.clone()).collect();
        texts.sort_unstable();
        texts
    };
    texts(before) == texts(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_leave_and_lines_stay() {
        let source = "let a = 1;\nfn twice(x: i64) -> i64 {\n    2 * x // é\n}\ntwice(a)";
        let divided = divide(source, 3, 1);
        assert_eq!(divided.items.len(), 1);
        assert_eq!((divided.items[0].line, divided.items[0].column), (3, 0));
        assert_eq!(divided.rest.len(), source.len());
        assert_eq!(divided.rest.matches('\n').count(), 4);
        assert_eq!(&source[divided.tail.unwrap()], "twice(a)");
    }

    #[test]
    fn a_later_item_replaces_an_earlier_one() {
        let first = settled(
            divide(
                "use std::collections::{HashMap, HashSet as Set};\nfn f() {}",
                1,
                1,
            )
            .items,
        );
        assert_eq!(first.len(), 3);
        let second = divide("struct HashMap;\nimpl HashMap { fn new() {} }", 2, 1).items;
        let all = settled(merged(&first, &second));
        let names: Vec<_> = all.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["Set", "f", "HashMap", "HashMap"]);
        let third = divide("impl HashMap { fn len() {} }", 3, 1).items;
        assert_eq!(merged(&all, &third).len(), 5);
        let again = divide("impl HashMap { fn new() {} fn other() {} }", 4, 1).items;
        assert_eq!(merged(&all, &again).len(), 4);
    }

    #[test]
    fn a_cell_of_items_alone_says_what_they_are() {
        let heads = |source: &str| divide(source, 1, 1).only_defines();
        let source = "/// Twice.\npub fn twice(x: f64,\n    y: i32) -> f64 { x }\nstruct P { x: f64 }\n// end";
        assert_eq!(
            heads(source),
            ["fn twice(x: f64, y: i32) -> f64", "struct P"]
        );
        assert_eq!(heads("fn f() {}\nf()"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_rust_is_left_to_rustc() {
        let divided = divide("let a = (1;\nfn f() {}", 1, 1);
        assert!(divided.items.is_empty() && divided.tail.is_none());
    }
}
