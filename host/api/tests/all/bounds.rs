use std::fmt::Write as _;

use proptest::prelude::*;
use pulselet_api::{parse, schema};
use serde_json::{Value, json};

use crate::{problems, with};

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        let _ = writeln!(text, "a{level}: &a{level} [{}]", vec![below; 10].join(", "));
    }
    assert!(problems(&text)[0].contains("E1002"), "{:?}", problems(&text));
}

#[test]
fn deep_nesting_and_long_texts_are_refused() {
    for text in ["[".repeat(10_000), "{a: ".repeat(10_000), "- ".repeat(10_000), "? ".repeat(10_000)] {
        assert_eq!(problems(&text).len(), 1);
    }
    let long = format!("# {}", "x".repeat(17 << 20));
    assert!(problems(&long)[0].contains("E1002"));
}

#[test]
fn many_functions_fit_in_one_text() {
    let text: String = (0..2_000).map(|i| format!("---\n{}", with("").replace("exclaim", &format!("f{i}")))).collect();
    assert_eq!(parse(&text, "many.yaml").unwrap().len(), 2_000);
}

/// Pieces that declarations are made of, right and wrong, put together at random.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "apiVersion",
        "kind",
        "Function",
        "metadata",
        "name",
        "spec",
        "wasm",
        "location",
        "input",
        "topics",
        "retry",
        ":",
        ": ",
        "- ",
        "\n",
        "  ",
        "    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "!!str ",
        "'",
        "\"",
        "|\n",
        "<<",
        "---\n",
        "1",
        "-1",
        "1e999",
        "~",
        "true",
        "64Mi",
        "\t",
        "é",
        "\u{0}",
        "%YAML 1.2\n",
        "? ",
        "0x1F",
        ".nan",
        "#",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60).prop_map(|words| words.concat())
}

/// A value that fits a schema, now and then one that does not.
fn value_of(schema: Value) -> BoxedStrategy<Value> {
    let fits: BoxedStrategy<Value> = if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        let fields: Vec<(String, BoxedStrategy<Value>)> =
            fields.iter().map(|(name, field)| (name.clone(), value_of(field.clone()))).collect();
        fields
            .into_iter()
            .map(|(name, field)| prop::option::weighted(0.9, field).prop_map(move |value| (name.clone(), value)))
            .collect::<Vec<_>>()
            .prop_map(|fields| {
                Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
            })
            .boxed()
    } else if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
        let names = variants
            .iter()
            .flat_map(|variant| variant["enum"].as_array().cloned().unwrap_or_else(|| vec![variant["const"].clone()]));
        prop::sample::select(names.collect::<Vec<_>>()).boxed()
    } else if let Some(items) = schema.get("items") {
        prop::collection::vec(value_of(items.clone()), 0..3).prop_map(Value::Array).boxed()
    } else {
        let text = "(|[a-z]{1,8}|persistent://[a-z]/[a-z]/[a-z]|[0-9]{1,3}Mi|sha256:[0-9a-f]{64})";
        match schema["type"].as_str() {
            Some("string") => text.prop_map(Value::from).boxed(),
            Some("integer") => (0_u32..50_000).prop_map(Value::from).boxed(),
            Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
            _ => prop::sample::select(vec![json!("64Mi"), json!("1"), json!(70_000)]).boxed(),
        }
    };
    prop_oneof![
        50 => fits,
        1 => prop::sample::select(vec![json!(null), json!(-1), json!("x"), json!([]), json!({}), json!(1.5), json!({"a": [{}]})]),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn any_text_gives_functions_or_problems(text in "\\PC{0,200}") {
        let _ = parse(&text, "f");
    }

    #[test]
    fn any_pieces_give_functions_or_problems(text in pieces()) {
        let _ = parse(&text, "f");
    }

    #[test]
    fn what_fits_the_schema_nearly_is_explained_field_by_field(value in value_of(schema())) {
        match parse(&value.to_string(), "f") {
            Ok(functions) => {
                for it in functions {
                    prop_assert_eq!(it.function.resolve().unwrap(), it.resolved);
                }
            }
            // Nothing is left to serde to find: its errors know no field.
            Err(errors) => for problem in errors.iter() {
                prop_assert!(!problem.path.is_empty() || !value.is_object(), "{}", problem);
                prop_assert!(problem.place.is_some() || value.is_null(), "{}", problem);
            }
        }
    }
}
