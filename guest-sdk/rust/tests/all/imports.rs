use std::collections::BTreeSet;
use std::fs;

use pulselet_test_support::example;
use wasmparser::{Parser, Payload};

/// What a component imports besides what Rust's standard library always does, and its size.
fn own_imports(name: &str) -> (BTreeSet<String>, usize) {
    let bytes = fs::read(example(name)).unwrap();
    let mut imports = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    let standard = |name: &String| name.starts_with("wasi:cli/") || name.starts_with("wasi:io/");
    imports.retain(|name| !standard(name));
    (imports, bytes.len())
}

#[test]
fn a_component_imports_what_its_function_uses_and_no_more() {
    let inert = ["pulselet:function/outcome@0.1.0", "wasi:logging/logging@0.1.0-draft"];
    let context = "pulselet:function/context@0.1.0";
    let types = "pulselet:function/types@0.1.0";
    for (name, used) in [
        ("exclamation", vec![]),
        ("batch-upper", vec![]),
        ("json-enrich", vec![context, "wasi:config/store@0.2.0-rc.1"]),
        ("manual-ack", vec!["pulselet:function/settle@0.1.0"]),
        ("word-count-split", vec![context, types, "pulselet:function/publish@0.1.0"]),
        ("router", vec![context, types, "pulselet:function/publish@0.1.0", "pulselet:function/metrics@0.1.0"]),
    ] {
        let expected: BTreeSet<String> = inert.into_iter().chain(used).map(str::to_owned).collect();
        assert_eq!(own_imports(name).0, expected, "{name}");
    }
}

#[test]
fn a_plain_function_stays_small() {
    let (_, bytes) = own_imports("exclamation");
    assert!(bytes < 64 * 1024, "{bytes} bytes");
}
