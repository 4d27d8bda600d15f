use pulselet_api::{parse, parse_all};

use crate::{one, problems, with};

#[test]
fn several_documents_are_several_functions() {
    let second = with("").replace("exclaim", "other");
    let text = format!("---\n{}---\n# nothing here\n---\n{second}", with(""));
    let names: Vec<String> = parse(&text, "f.yaml").unwrap().into_iter().map(|it| it.resolved.name.name).collect();
    assert_eq!(names, ["exclaim", "other"]);
}

#[test]
fn json_is_read_with_places_whatever_its_indentation() {
    let json = serde_json::to_string_pretty(&one(&with("")).unwrap().function).unwrap();
    for text in [json.replace("  ", "\t"), json.replace('\n', "\r\n"), json.clone()] {
        assert_eq!(one(&text).unwrap().resolved, one(&with("")).unwrap().resolved);
    }
    let found = problems(&json.replace("\"topics\"", "\"topic\""));
    assert!(found[0].starts_with("f.yaml:") && found[0].contains("did you mean `topics`?"), "{found:?}");
    let escaped =
        one(&json.replace("\"spec\": {", r#""spec": { "funcConfig": {"smile": "\ud83d\ude00 \/"},"#)).unwrap();
    assert_eq!(escaped.resolved.config["smile"], "\u{1f600} /");
}

#[test]
fn a_function_declared_twice_is_refused_across_texts_and_the_first_place_is_named() {
    let (a, b) = (with(""), with("timeout: 5"));
    let errors = parse_all([("a.yaml", a.as_str()), ("b.yaml", b.as_str())]).unwrap_err().to_string();
    assert_eq!(
        errors,
        "b.yaml:4:9: metadata.name: \"exclaim\": public/default/exclaim is declared in a.yaml:4 already; \
         rename one of them, or remove it [E1103]"
    );
    let elsewhere = with("tenant: other");
    assert_eq!(parse_all([("a.yaml", a.as_str()), ("b.yaml", elsewhere.as_str())]).unwrap().len(), 2);
}

#[test]
fn the_problems_of_all_documents_and_texts_come_together() {
    let bad = with("replicas: 0");
    let errors = parse_all([("a.yaml", "{"), ("b.yaml", &format!("{bad}---\n{bad}")), ("c.yaml", "")]).unwrap_err();
    let codes: Vec<(&str, &str)> = errors.iter().map(|p| (p.source.as_str(), p.rule.code())).collect();
    assert_eq!(codes, [("a.yaml", "E1001"), ("b.yaml", "E1007"), ("b.yaml", "E1007"), ("c.yaml", "E1010")]);
}

#[test]
fn problems_have_a_form_for_programs() {
    let errors = parse(&with("replicas: 0"), "f.yaml").unwrap_err();
    let json = serde_json::to_value(&errors).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "code": "E1007", "source": "f.yaml", "line": 10, "column": 13, "path": "spec.replicas", "found": "0",
            "because": "it must be from 1 to 1000", "remedy": "to stop the function, write `spec.paused: true`"
        }])
    );
}

#[test]
fn anchors_and_merges_may_be_used_inside_a_document() {
    let text = with("funcConfig:\n  a: &a {x: 1}\n  b: *a\n  c:\n    <<: *a\n    y: 2");
    let config = one(&text).unwrap().resolved.config;
    assert_eq!((config["b"].as_str(), config["c"].as_str()), (r#"{"x":1}"#, r#"{"x":1,"y":2}"#));
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, message) in [
        ("a: [1", "f.yaml:1:"),
        ("a: 1\n b: 2\n", "f.yaml:2:3: "),
        ("a: 1\na: 2\n", "f.yaml:2:1: duplicate mapping key"),
        ("a: *nowhere", "f.yaml:1:4: "),
        ("- a", "f.yaml:1:1: a list: it must be a group of fields; correct it [E1005]"),
        ("just text", "f.yaml:1:1: \"just text\": it must be a group of fields"),
        ("# nothing", "f.yaml: no function is declared: there must be something to declare; begin with"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].starts_with(message), "{text:?}: {found:#?}");
        assert!(!found[0].contains(" at line "), "{found:#?}");
    }
}
