//! Functions that Python calls: their types as values that a cell can borrow, and the entries that they are called by.

use diaphane_rust_protocol::{Bind, Form, Function};
use ra_ap_syntax::ast::{self, HasModuleItem, HasName, HasVisibility, Item};
use ra_ap_syntax::{AstNode, Edition, SourceFile};

use crate::code::{Code, borrow};
use crate::items::Kept;

/// The types of numbers.
const NUMBERS: &[&str] = &[
    "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64",
];

/// The public functions among the items of a cell, or what is wrong with one of them, with its line.
pub fn functions(items: &[Kept]) -> Result<Vec<Function>, (u32, String)> {
    let functions = items.iter().filter(|item| item.kind == "fn");
    let found = functions.filter_map(|item| match function(&item.text) {
        Ok(None) => None,
        Ok(Some(function)) => Some(Ok(function)),
        Err(why) => Some(Err((item.line, format!("`{}`: {why}", item.name)))),
    });
    found.collect()
}

fn function(text: &str) -> Result<Option<Function>, String> {
    let file = SourceFile::parse(text, Edition::Edition2024).tree();
    let Some(Item::Fn(item)) = file.items().next() else {
        return Ok(None);
    };
    let (Some(_), Some(name)) = (item.visibility(), item.name()) else {
        return Ok(None);
    };
    if item.async_token().is_some() || item.unsafe_token().is_some() {
        return Err("a function for Python is neither async nor unsafe".to_owned());
    }
    let list = item.param_list().into_iter();
    let parameters = list
        .flat_map(|list| list.params())
        .map(|one| parameter(&one));
    let gives = item.ret_type().and_then(|gives| gives.ty());
    Ok(Some(Function {
        entry: format!("diaphane_def_{}", name.text()),
        name: name.text().to_string(),
        parameters: parameters.collect::<Result<_, _>>()?,
        gives: gives.map_or_else(|| "()".to_owned(), |ty| ty.syntax().text().to_string()),
        doc: doc(text),
    }))
}

/// The words of the comments above a function.
fn doc(text: &str) -> String {
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter_map(|line| line.strip_prefix("///"));
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}

fn parameter(one: &ast::Param) -> Result<Bind, String> {
    let name = match one.pat() {
        Some(ast::Pat::IdentPat(name)) => name.name(),
        _ => None,
    };
    let name = name
        .ok_or("each parameter needs a name")?
        .text()
        .to_string();
    let ty = one
        .ty()
        .map(|ty| ty.syntax().text().to_string())
        .unwrap_or_default();
    let (rust, form, mutable) = known(&ty).ok_or_else(|| {
        format!(
            "`{name}` is of type `{ty}`, which Python cannot give; it can give numbers, &str, &[T], &mut [T], \
             ArrayView1 to ArrayView6 and ArrayViewMut1 to ArrayViewMut6"
        )
    })?;
    Ok(Bind {
        name,
        rust,
        form,
        mutable,
    })
}

/// A type as the type of a value or of its items, the form, and whether it is written to.
fn known(ty: &str) -> Option<(String, Form, bool)> {
    let ty: String = ty.split_whitespace().collect();
    let ty = ty.trim_start_matches("::").trim_start_matches("ndarray::");
    let is_number = |ty: &str| NUMBERS.contains(&ty);
    if is_number(ty) {
        return Some((ty.to_owned(), Form::Number, false));
    }
    if ty == "&str" {
        return Some(("&str".to_owned(), Form::Text, false));
    }
    for (head, mutable) in [("&mut[", true), ("&[", false)] {
        if let Some(items) = ty
            .strip_prefix(head)
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return is_number(items).then(|| (items.to_owned(), Form::Slice, mutable));
        }
    }
    for (head, mutable) in [("ArrayViewMut", true), ("ArrayView", false)] {
        if let Some(rest) = ty.strip_prefix(head) {
            let (rank, items) = rest.strip_suffix('>')?.split_once('<')?;
            let rank = rank.parse().ok().filter(|rank| (0..=6).contains(rank))?;
            let items = items.trim_start_matches("'_,");
            return is_number(items).then(|| (items.to_owned(), Form::View(rank), mutable));
        }
    }
    None
}

/// Writes the entry of a function.
pub fn write(code: &mut Code, function: &Function) {
    let Function { name, entry, .. } = function;
    code.own("#[unsafe(no_mangle)]");
    code.own(&format!(
        "pub extern \"C\" fn {entry}(__ctx: *const ::diaphane_cell::abi::Ctx) -> u32 {{"
    ));
    code.own("let mut __body = |__dia: &::diaphane_cell::Cell<'_>| -> ::diaphane_cell::Outcome {");
    let parameters = function.parameters.iter().enumerate();
    let names: Vec<_> = parameters
        .clone()
        .map(|(number, _)| format!("__p{number}"))
        .collect();
    for (number, parameter) in parameters {
        let named = Bind {
            name: format!("__p{number}"),
            // A number cannot be written to, and a function may have its parameter so all the same.
            ..parameter.clone()
        };
        code.own(&borrow(number, &named));
    }
    let fails = function.gives.trim_start().contains("Result<");
    let question = if fails { "?" } else { "" };
    code.own(&format!(
        "__dia.put(0, {name}({}){question}); Ok(()) }};",
        names.join(", ")
    ));
    code.enter();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_parameters_are_known() {
        assert_eq!(known("f64"), Some(("f64".into(), Form::Number, false)));
        assert_eq!(known("&mut [u8]"), Some(("u8".into(), Form::Slice, true)));
        assert_eq!(
            known("ndarray::ArrayViewMut2<'_, f32>"),
            Some(("f32".into(), Form::View(2), true))
        );
        assert_eq!(
            known("ArrayView1<f64>"),
            Some(("f64".into(), Form::View(1), false))
        );
        for ty in [
            "Vec<f64>",
            "&[String]",
            "ArrayView7<f64>",
            "ArrayViewD<f64>",
            "usize",
        ] {
            assert_eq!(known(ty), None, "{ty}");
        }
    }

    #[test]
    fn only_public_functions_are_for_python() {
        let items = crate::items::divide(
            "/// Twice.\n///\n/// More.\npub fn twice(x: f64) -> f64 { 2.0 * x }\nfn own() {}",
            1,
            1,
        );
        let functions = functions(&items.items).unwrap();
        assert_eq!(functions.len(), 1);
        assert_eq!(functions[0].doc, "Twice.\n\nMore.");
        assert_eq!(functions[0].gives, "f64");
    }
}
