//! Pages and examples that follow from the code. `UPDATE_DOCS=1 cargo test -p pulselet-api` writes them.

use std::collections::BTreeSet;
use std::path::Path;

use pulselet_api::{Rule, reference, schema};
use serde_json::Value;

fn assert_up_to_date(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/{page} is out of date: run `UPDATE_DOCS=1 cargo test -p pulselet-api`");
}

#[test]
fn the_page_of_fields_is_up_to_date() {
    assert_up_to_date("reference/function.md", &reference());
}

#[test]
fn the_page_of_errors_is_up_to_date() {
    assert_up_to_date("errors.md", &Rule::page());
}

#[test]
fn codes_are_unique_and_rise() {
    let codes: Vec<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    let sorted: Vec<&str> = codes.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(codes, sorted);
}

#[test]
fn the_schema_describes_every_field_and_allows_no_other() {
    fn visit(path: &str, schema: &Value) {
        assert!(schema["description"].is_string(), "{path} has no description");
        assert!(schema["$ref"].is_null() && schema["anyOf"].is_null(), "{path} is not in place");
        let Some(fields) = schema["properties"].as_object() else { return };
        assert_eq!(schema["additionalProperties"], false, "{path} allows unknown fields");
        for (name, field) in fields {
            visit(&format!("{path}.{name}"), field);
        }
    }
    visit("", &schema());
}
