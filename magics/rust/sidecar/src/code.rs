//! The source that evcxr compiles for a cell, and where each of its lines comes from.
//!
//! All of it is one module: evcxr then keeps it as one item and changes nothing in it, and the order of items stays, as
//! macros need it. No address stands in it, so it depends on nothing but the cell and the types that it borrows.

use std::ops::Range;

use diaphane_rust_protocol::{Bind, Compile, Form, Function, Lines};

use crate::defs;
use crate::items::{Divided, Kept};

/// A source in the making.
#[derive(Default)]
pub struct Code {
    pub text: String,
    /// How many lines there are.
    count: u32,
    /// Where lines come from.
    pub lines: Vec<Lines>,
    /// Where the user's statements begin.
    pub body: Option<usize>,
    /// The expression of the cell whose value is displayed.
    pub tail: Option<Range<usize>>,
}

/// Writes the source of a cell.
pub fn write(cell: &Compile, items: &[Kept], divided: &Divided, functions: &[Function]) -> Code {
    let mut code = Code::default();
    // Items are for later cells, so one that nobody uses is nothing to warn of.
    code.own("#[allow(dead_code, unused_imports, unused_macros)] #[warn(unused_mut)] mod cell {");
    for item in items {
        code.user(&item.text, item.cell, item.line, item.column);
    }
    for function in functions {
        defs::write(&mut code, function);
    }
    for name in ["last_words", "recover"] {
        code.own(&format!(
            "#[unsafe(no_mangle)] pub extern \"C\" fn diaphane_{name}(__ctx: *const ::diaphane_cell::abi::Ctx) -> u32 \
             {{ unsafe {{ ::diaphane_cell::{name}(__ctx) }} }}"
        ));
    }
    code.own("#[unsafe(no_mangle)]");
    code.own("pub extern \"C\" fn diaphane_main(__ctx: *const ::diaphane_cell::abi::Ctx) -> u32 {");
    code.own("let mut __body = |__dia: &::diaphane_cell::Cell<'_>| -> ::diaphane_cell::Outcome {");
    for (number, bind) in binds(cell) {
        code.own(&borrow(number, bind));
    }
    for (number, variable) in (cell.binds.len()..).zip(&cell.kept) {
        let (name, rust) = (identifier(&variable.name), &variable.rust);
        code.own(&format!(
            "let {name}: &mut {rust} = unsafe {{ __dia.kept({number}) }};"
        ));
    }
    body(&mut code, cell, divided);
    for (number, name) in cell.outputs.iter().enumerate() {
        code.own(&format!("__dia.put({number}, {});", identifier(name)));
    }
    for (number, name) in (cell.outputs.len()..).zip(&cell.keeps) {
        code.own(&format!("__dia.keep({number}, {});", identifier(name)));
    }
    code.own("; Ok(()) };");
    code.enter();
    code.own("}");
    code
}

fn binds(cell: &Compile) -> impl Iterator<Item = (usize, &Bind)> {
    cell.binds.iter().enumerate()
}

/// The user's statements. They stand in no unsafe block of ours, so they are unsafe only where they say so.
fn body(code: &mut Code, cell: &Compile, divided: &Divided) {
    let first = cell.lines_above + 1;
    code.body = Some(code.text.len());
    let Some(tail) = &divided.tail else {
        code.user(&divided.rest, cell.cell, first, 0);
        return;
    };
    let before = &divided.rest[..tail.start];
    code.user(before, cell.cell, first, 0);
    let line = first + before.matches('\n').count() as u32;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    code.tail = Some(tail.clone());
    code.own("match (");
    code.user(&divided.rest[tail.clone()], cell.cell, line, column as u32);
    code.own(") { __value => { use ::diaphane_cell::Shown as _; __dia.show(|| __value.evcxr_display()); } }");
}

/// The statement that makes a variable of what is borrowed.
pub fn borrow(number: usize, bind: &Bind) -> String {
    let Bind {
        rust,
        form,
        mutable,
        ..
    } = bind;
    let name = identifier(&bind.name);
    let (mutable, way) = if *mutable { ("mut ", "_mut") } else { ("", "") };
    match form {
        Form::Number => {
            format!("let {mutable}{name}: {rust} = unsafe {{ __dia.number({number}) }};")
        }
        Form::Text => format!("let {name}: &str = unsafe {{ __dia.text({number}) }};"),
        Form::Slice => {
            format!("let {name}: &{mutable}[{rust}] = unsafe {{ __dia.slice{way}({number}) }};")
        }
        Form::View(rank) => {
            let rank = if *rank > 6 {
                "Dyn".to_owned()
            } else {
                rank.to_string()
            };
            let view = if bind.mutable {
                "ArrayViewMut"
            } else {
                "ArrayView"
            };
            format!(
                "let {mutable}{name}: ::diaphane_cell::ndarray::{view}<'_, {rust}, ::diaphane_cell::ndarray::Ix{rank}> \
                 = unsafe {{ __dia.view{way}({number}) }};"
            )
        }
    }
}

/// A name of Python's as one of Rust's.
fn identifier(name: &str) -> String {
    const WORDS: &[&str] = &[
        "abstract", "become", "box", "const", "do", "dyn", "enum", "extern", "final", "fn", "gen",
        "impl", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
        "ref", "static", "struct", "trait", "type", "typeof", "unsafe", "unsized", "use",
        "virtual", "where",
    ];
    if WORDS.contains(&name) {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

impl Code {
    /// A line of our own.
    pub fn own(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
        self.count += 1;
    }

    /// Runs the closure of an entry, and ends the entry.
    pub fn enter(&mut self) {
        self.own("unsafe { ::diaphane_cell::enter(__ctx, &mut __body) } }");
    }

    /// Lines of a cell, of which the first begins behind so many characters. Columns stay what they are.
    fn user(&mut self, text: &str, cell: u32, line: u32, column: u32) {
        let count = text.matches('\n').count() as u32 + 1;
        self.lines.push(Lines {
            first: self.count + 1,
            count,
            cell,
            line,
        });
        self.text += &" ".repeat(column as usize);
        self.text += text;
        self.text.push('\n');
        self.count += count;
    }

    /// The cell and the line that a line of the source comes from.
    pub fn origin(&self, line: u32) -> Option<(u32, u32)> {
        origin(&self.lines, line)
    }
}

/// The cell and the line that a line comes from.
pub fn origin(lines: &[Lines], line: u32) -> Option<(u32, u32)> {
    let found = lines
        .iter()
        .find(|lines| (lines.first..lines.first + lines.count).contains(&line))?;
    Some((found.cell, found.line + line - found.first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::divide;

    #[test]
    fn every_line_of_the_user_is_known() {
        let source = "let b = a[0];\nfn f() {}\n  b + 1.0";
        let cell = Compile {
            cell: 7,
            lines_above: 1,
            source: source.to_owned(),
            binds: vec![Bind {
                name: "type".into(),
                rust: "f64".into(),
                form: Form::View(2),
                mutable: true,
            }],
            outputs: vec!["b".into()],
            ..Compile::default()
        };
        let divided = divide(source, 7, 1);
        let code = write(&cell, &divided.items, &divided, &[]);
        let line_of = |words: &str| {
            let at = code.text.lines().position(|line| line.contains(words));
            code.origin(at.expect("the words are there") as u32 + 1)
        };
        assert_eq!(line_of("let b = a[0]"), Some((7, 2)));
        assert_eq!(line_of("fn f()"), Some((7, 3)));
        assert_eq!(line_of("  b + 1.0"), Some((7, 4)));
        assert_eq!(line_of("__dia.put(0, b)"), None);
        assert!(
            code.text
                .contains("let mut r#type: ::diaphane_cell::ndarray::ArrayViewMut<'_, f64,")
        );
    }
}
