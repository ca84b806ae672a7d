//! What each magic understands, as data: from it Python makes a function of each, with keywords, types and documentation.

use std::any::TypeId;

use clap::{Arg, ArgAction};
use serde_json::{Value, json};

use crate::cli::about;
use crate::registry::{ALL, Entry};

/// Options that only a line has: a function returns its report, which can be written as JSON, and shows none of before.
const OF_LINES: &[&str] = &["json", "as", "last"];

/// One entry a magic: its name, its documentation, and what it takes.
#[must_use]
pub fn grammar() -> Value {
    ALL.iter().map(of_magic).collect()
}

fn of_magic(magic: &Entry) -> Value {
    let command = (magic.command)();
    let is_taken = |argument: &&Arg| {
        !OF_LINES
            .iter()
            .any(|&long| argument.get_long() == Some(long))
    };
    let arguments = command.get_arguments().filter(is_taken).map(of_argument);
    json!({
        "name": magic.name,
        "kinds": magic.form.kinds(),
        "records": magic.records,
        "takes_statement": magic.takes_statement,
        "changes": magic.changes,
        "about": about(&command),
        "arguments": arguments.collect::<Vec<_>>(),
        "fields": magic.schema.help(88),
    })
}

fn of_argument(argument: &Arg) -> Value {
    let texts = |all: &[clap::builder::OsStr]| -> Vec<String> {
        let all = all.iter().map(|one| one.to_string_lossy().into_owned());
        all.collect()
    };
    let choices = argument.get_possible_values();
    let choices: Vec<&str> = choices
        .iter()
        .map(clap::builder::PossibleValue::get_name)
        .collect();
    let is_flag = !argument.get_action().takes_values();
    let value = argument.get_value_names().and_then(|names| names.first());
    json!({
        "id": argument.get_id().as_str(),
        "option": argument.get_long(),
        "value": value.map(ToString::to_string),
        "takes": takes(argument),
        "type": kind(argument),
        "choices": if is_flag { Vec::new() } else { choices },
        "default": texts(argument.get_default_values()).first().filter(|_| !is_flag),
        "required": argument.is_required_set(),
        "help": argument.get_help().map(ToString::to_string),
    })
}

/// Whether it is there or not, has one value, may have one, or has many.
fn takes(argument: &Arg) -> &'static str {
    let least = argument
        .get_num_args()
        .map_or(1, |count| count.min_values());
    match argument.get_action() {
        action if !action.takes_values() => "flag",
        ArgAction::Append => "many",
        _ if least == 0 => "maybe",
        _ => "one",
    }
}

/// What its value is.
fn kind(argument: &Arg) -> &'static str {
    let of = argument.get_value_parser().type_id();
    let is_of = |kinds: &[TypeId]| kinds.iter().any(|kind| of == *kind);
    let names = argument.get_value_names().unwrap_or_default();
    if !argument.get_action().takes_values() {
        "bool"
    } else if names.first().is_some_and(|name| name == "SIZE") {
        "size"
    } else if is_of(&[
        TypeId::of::<usize>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<i64>(),
        TypeId::of::<i32>(),
    ]) {
        "int"
    } else if is_of(&[TypeId::of::<f64>()]) {
        "float"
    } else {
        "str"
    }
}
