//! Writes a vector back for people: what fits on a line stays on one.

use serde_json::Value;

const WIDTH: usize = 330;

/// The file's text with every step's outputs replaced.
pub(crate) fn rewritten(text: &str, outputs: &[Vec<Value>]) -> String {
    let mut vector: Value = serde_json::from_str(text).unwrap();
    let steps = vector["steps"].as_array_mut().unwrap();
    for (step, outputs) in steps.iter_mut().zip(outputs) {
        let step = step.as_object_mut().unwrap();
        step.remove("outputs");
        if !outputs.is_empty() {
            step.insert("outputs".into(), Value::Array(outputs.clone()));
        }
    }
    let mut text = String::new();
    lay_out(&vector, 0, &mut text);
    text + "\n"
}

fn lay_out(value: &Value, indent: usize, text: &mut String) {
    let line = on_one_line(value);
    if indent > 0 && line.len() + indent <= WIDTH {
        text.push_str(&line);
        return;
    }
    let (open, close, parts): (char, char, Vec<(String, &Value)>) = match value {
        Value::Array(items) => (
            '[',
            ']',
            items.iter().map(|item| (String::new(), item)).collect(),
        ),
        Value::Object(fields) => {
            let parts = fields
                .iter()
                .map(|(key, item)| (format!("{}: ", Value::from(key.as_str())), item));
            ('{', '}', parts.collect())
        }
        scalar => return text.push_str(&scalar.to_string()),
    };
    text.push(open);
    let count = parts.len();
    for (at, (key, item)) in parts.into_iter().enumerate() {
        text.push('\n');
        text.push_str(&" ".repeat(indent + 2));
        text.push_str(&key);
        lay_out(item, indent + 2, text);
        if at + 1 < count {
            text.push(',');
        }
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(on_one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, item)| format!("{}: {}", Value::from(key.as_str()), on_one_line(item)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
