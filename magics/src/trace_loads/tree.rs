//! Who caused what, as a tree: the modules of an import, the libraries below them, and what those needed.

use super::scene::{Scene, name_of};
use crate::view::time;

/// One line with what is below it.
#[derive(Default)]
struct Node {
    label: String,
    children: Vec<Node>,
}

/// The tree of all loads.
pub(super) fn tree(scene: &Scene) -> Vec<String> {
    let mut root = Node::default();
    for (index, one) in scene.story.loaded.iter().enumerate() {
        if one.is_first || scene.call(one).is_none() {
            let top = top(scene, index, &mut root);
            top.children.push(library(scene, index));
        }
    }
    let mut lines = Vec::new();
    for node in &root.children {
        lines.push(node.label.clone());
        grow(node, "", &mut lines);
    }
    lines
}

/// The node of the module or call that asked, below those that led there.
fn top<'a>(scene: &Scene, index: usize, root: &'a mut Node) -> &'a mut Node {
    let one = &scene.story.loaded[index];
    let request = scene.call(one).and_then(|call| scene.request(call));
    let mut way: Vec<String> = request.map(|load| load.chain.clone()).unwrap_or_default();
    way.iter_mut()
        .for_each(|module| module.insert_str(0, "import "));
    let cause = scene.cause(index).unwrap_or_else(|| "not known".into());
    if way.last() != Some(&cause) {
        way.push(cause);
    }
    let mut node = root;
    for label in way {
        let known = node.children.iter().position(|child| child.label == label);
        let at = known.unwrap_or_else(|| {
            node.children.push(Node {
                label,
                children: Vec::new(),
            });
            node.children.len() - 1
        });
        node = &mut node.children[at];
    }
    node
}

/// A library with those that it needed.
fn library(scene: &Scene, index: usize) -> Node {
    let one = &scene.story.loaded[index];
    let name = name_of(&one.path);
    let mut label = name.to_owned();
    let own = scene.call(one).filter(|_| one.is_first);
    let notes = [
        scene.rule(index),
        own.and_then(|call| call.total_ns)
            .map(|ns| format!("{} in all", time(ns as f64))),
        one.init_ns
            .filter(|ns| *ns > 0)
            .map(|ns| format!("initialisers {}", time(ns as f64))),
        Some(scene.missed(index).len())
            .filter(|many| *many > 0)
            .map(|many| format!("{many} missed")),
        one.gone_at.map(|_| "unloaded again".to_owned()),
    ];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    if !notes.is_empty() {
        label += &format!(" ({})", notes.join(", "));
    }
    let all = scene.story.loaded.iter().enumerate();
    let needed = all.filter(|(other, loaded)| {
        loaded.call == one.call && *other > index && scene.parent(*other).as_deref() == Some(name)
    });
    let children = needed.map(|(other, _)| library(scene, other)).collect();
    Node { label, children }
}

fn grow(node: &Node, before: &str, lines: &mut Vec<String>) {
    for (place, child) in node.children.iter().enumerate() {
        let (own, below) = match place + 1 == node.children.len() {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        lines.push(format!("{before}{own}{}", child.label));
        grow(child, &format!("{before}{below}"), lines);
    }
}
