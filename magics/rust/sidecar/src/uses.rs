//! Takes `use` items apart, so that a later one can replace one name of an earlier.

use ra_ap_syntax::ast::{HasName, Use, UseTree};
use ra_ap_syntax::{AstNode, ast};

/// One name and the item that brings it; no name for a glob.
pub type Import = (Option<String>, String);

/// The names that an item brings.
pub fn imports(item: &Use) -> Vec<Import> {
    let mut imports = Vec::new();
    if let Some(tree) = item.use_tree() {
        expand(&tree, "", &mut imports);
    }
    imports
}

fn expand(tree: &UseTree, prefix: &str, imports: &mut Vec<Import>) {
    let own = tree.path().map(|path| path.syntax().text().to_string());
    let own = own.unwrap_or_default();
    let path = match own.as_str() {
        "" => prefix.to_owned(),
        "self" if !prefix.is_empty() => prefix.to_owned(),
        _ if prefix.is_empty() => own.clone(),
        _ => format!("{prefix}::{own}"),
    };
    if let Some(list) = tree.use_tree_list() {
        for tree in list.use_trees() {
            expand(&tree, &path, imports);
        }
    } else if tree.star_token().is_some() {
        imports.push((None, format!("use {path}::*;")));
    } else {
        imports.push(named(tree, &path));
    }
}

fn named(tree: &UseTree, path: &str) -> Import {
    match tree.rename().map(|rename: ast::Rename| rename.name()) {
        Some(Some(name)) => (Some(name.to_string()), format!("use {path} as {name};")),
        Some(None) => (None, format!("use {path} as _;")),
        None => {
            let last = path.rsplit("::").next().unwrap_or_default();
            (Some(last.trim().to_owned()), format!("use {path};"))
        }
    }
}
