//! The tools: one for each magic that can be asked by message, with a JSON schema of what it takes.

use std::borrow::Cow;

use anyhow::{Context as _, Result, bail};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

/// The tool that lists the kernels.
pub const KERNELS: &str = "kernels";
/// The tool that looks at any process from outside.
pub const PROCESS: &str = "stack_of_process";

/// The magics that are offered, as `diaphane_magics::grammar` tells of them.
pub struct Tools(Vec<Value>);

impl Tools {
    /// Those that need no cell, change nothing and run no code.
    pub fn offered() -> Self {
        let all = diaphane_magics::grammar();
        let is_of_a_line = |magic: &&Value| listed(&magic["kinds"]).any(|kind| kind == "line");
        let only_looks = |magic: &&Value| magic["changes"] == false;
        Self(
            listed(&all)
                .filter(is_of_a_line)
                .filter(only_looks)
                .cloned()
                .collect(),
        )
    }

    /// All tools for a client.
    pub fn list(&self) -> Vec<Tool> {
        let kernels = "Lists the kernels of diaphane that run on this machine, with their notebooks and what they do.";
        let process = "Shows what any process with CPython 3.11 to 3.15 runs at this moment, from outside: Python and native \
            functions. For a kernel that answers nothing, or for a script.";
        let pid = json!({"pid": {"type": "integer", "description": "The number of the process"}});
        let mut tools = vec![
            tool(KERNELS.into(), kernels.into(), json!({}), &[]),
            tool(PROCESS.into(), process.into(), pid, &["pid"]),
        ];
        tools.extend(self.0.iter().map(of_magic));
        tools
    }

    /// What stands behind the magic's name.
    pub fn line(&self, name: &str, given: &JsonObject) -> Result<String> {
        let magic = self.0.iter().find(|magic| magic["name"] == name);
        let magic = magic
            .with_context(|| format!("there is no tool {name:?} here; tools/list names all"))?;
        let arguments = arguments(magic);
        if let Some(unknown) = given
            .keys()
            .find(|key| !arguments.iter().any(|one| one["id"] == key.as_str()))
        {
            let known: Vec<&str> = arguments
                .iter()
                .filter_map(|one| one["id"].as_str())
                .collect();
            bail!(
                "{name} takes no {unknown:?}; it takes kernel, {}",
                known.join(", ")
            );
        }
        let mut options = Vec::new();
        let mut values = Vec::new();
        for argument in arguments {
            let id = argument["id"].as_str().unwrap_or_default();
            let words = given
                .get(id)
                .map_or(Ok(Vec::new()), |value| words(id, value))?;
            match (argument["option"].as_str(), given.get(id)) {
                (Some(option), Some(Value::Bool(true))) => options.push(format!("--{option}")),
                (_, None | Some(Value::Bool(false) | Value::Null)) => {}
                (Some(option), _) => {
                    options.extend(words.iter().map(|word| format!("--{option}={word}")));
                }
                (None, _) => values.extend(words),
            }
        }
        options.append(&mut values);
        Ok(options.join(" "))
    }
}

/// A value as words of a line.
fn words(id: &str, value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Array(items) => {
            let words: Result<Vec<_>> = items.iter().map(|item| words(id, item)).collect();
            Ok(words?.concat())
        }
        Value::String(text) => Ok(vec![quoted(id, text)?]),
        Value::Object(_) => bail!("{id}: {value} is neither a text nor a number"),
        _ => Ok(vec![value.to_string()]),
    }
}

/// A text that a line takes for one word.
fn quoted(id: &str, text: &str) -> Result<String> {
    if text.contains(['\n', '\r']) {
        bail!("{id}: {text:?} has more than one line");
    }
    let is_plain = |letter: char| letter.is_alphanumeric() || "_.[]:!*/-+,=".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    let quote = ['"', '\''].into_iter().find(|quote| !text.contains(*quote));
    let quote = quote.with_context(|| format!("{id}: {text:?} has both kinds of quotes"))?;
    Ok(format!("{quote}{text}{quote}"))
}

fn of_magic(magic: &Value) -> Tool {
    let kernel = json!({
        "type": "string",
        "description": "The kernel: its notebook, its process or the beginning of its identity, as `kernels` shows them; \
            without it, the one that was started last",
    });
    let mut properties = Map::from_iter([("kernel".to_owned(), kernel)]);
    let mut required = Vec::new();
    for argument in arguments(magic) {
        let id = argument["id"].as_str().unwrap_or_default();
        properties.insert(id.to_owned(), property(argument));
        if argument["required"] == true {
            required.push(id);
        }
    }
    let about = magic["about"].as_str().unwrap_or_default();
    let name = magic["name"].as_str().unwrap_or_default().to_owned();
    tool(
        name.into(),
        about.to_owned().into(),
        Value::Object(properties),
        &required,
    )
}

/// The schema of one argument.
fn property(argument: &Value) -> Value {
    let one = match argument["type"].as_str() {
        Some("bool") => json!({"type": "boolean"}),
        Some("int") => json!({"type": "integer"}),
        Some("float") => json!({"type": "number"}),
        _ => json!({"type": "string"}),
    };
    let mut schema = match argument["takes"].as_str() {
        Some("many") => json!({"type": "array", "items": one}),
        // Either by itself, or with a value.
        Some("maybe") => json!({"type": ["boolean", one["type"]]}),
        _ => one,
    };
    if listed(&argument["choices"]).next().is_some() {
        schema["enum"] = argument["choices"].clone();
    }
    if let Some(help) = argument["help"].as_str() {
        schema["description"] = help.into();
    }
    schema
}

fn tool(
    name: Cow<'static, str>,
    about: Cow<'static, str>,
    properties: Value,
    required: &[&str],
) -> Tool {
    let schema = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    let looks = ToolAnnotations::new().read_only(true);
    Tool::new(name, about, schema).with_annotations(looks)
}

fn arguments(magic: &Value) -> &[Value] {
    magic["arguments"].as_array().map_or(&[], Vec::as_slice)
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, given: &Value) -> Result<String, String> {
        let given = given.as_object().expect("an object");
        let line = Tools::offered().line(name, given);
        line.map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_become_a_line() {
        let line = |name, given| line(name, &given).expect("a line");
        assert_eq!(
            line("threads", json!({"stack": true, "locals": false})),
            "--stack"
        );
        assert_eq!(
            line("threads", json!({"stack": 20, "sort": null})),
            "--stack=20"
        );
        let names = json!({"names": ["a", "d['x y']"], "min": "1 MB"});
        assert_eq!(line("buffer_addr", names), "--min=\"1 MB\" a \"d['x y']\"");
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        assert!(line("native_prof", &json!({})).is_err());
        assert!(line("threads", &json!({"nonsense": 1})).is_err());
        assert!(line("buffer_addr", &json!({"names": ["a\nb"]})).is_err());
        assert!(line("buffer_addr", &json!({"names": [{}]})).is_err());
    }

    #[test]
    fn every_tool_has_a_schema_and_a_description() {
        let tools = Tools::offered().list();
        assert!(tools.len() > 12);
        for tool in tools {
            assert!(
                tool.description.is_some_and(|text| text.len() > 20),
                "{}",
                tool.name
            );
        }
    }
}
