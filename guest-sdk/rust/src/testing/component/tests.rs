use super::*;

/// A program that says these lines and then listens until it is no longer spoken to.
fn saying(lines: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "printf '%s\\n' \"$0\"; cat >/dev/null", lines]);
    command
}

fn start(command: Command) -> Result<Program, String> {
    Program::start(command, Path::new("x.wasm"), World::Function)
}

const READY: &str = r#"{"type":"ready","protocol":1,"world":"function"}"#;

#[test]
fn a_program_that_is_not_there_is_named_with_the_remedy() {
    let error = start(Command::new("no-such-program")).unwrap_err();
    assert!(error.starts_with("start no-such-program: ") && error.contains("PULSELET_BIN"), "{error}");
}

#[test]
fn a_refused_component_is_refused_with_the_programs_reason() {
    let error = start(saying(r#"{"type":"refused","reason":"x.wasm: no such file"}"#)).unwrap_err();
    assert_eq!(error, "x.wasm: no such file");
}

#[test]
fn another_world_and_another_protocol_are_told_apart() {
    let error = start(saying(r#"{"type":"ready","protocol":1,"world":"batch-function"}"#)).unwrap_err();
    assert!(error.contains("BatchFunction") && error.contains("x.wasm"), "{error}");

    let error = start(saying(r#"{"type":"ready","protocol":2,"world":"function"}"#)).unwrap_err();
    assert!(error.contains("protocol 2"), "{error}");
}

#[test]
fn a_program_that_says_something_else_or_ends_fails_the_call() {
    let error = start(saying("Usage: pulselet")).unwrap_err();
    assert!(error.starts_with("the program breaks the protocol: ") && error.ends_with("Usage: pulselet"), "{error}");

    let mut silent = Command::new("true");
    silent.arg("harness");
    assert!(start(silent).unwrap_err().starts_with("the program ended"));
}

#[test]
fn a_call_gets_the_programs_report() {
    let reply = r#"{"type":"called","results":[{"type":"ok","answer":"aGk="}],"published":[],"logs":[],"metrics":[],"settled":[]}"#;
    let mut program = start(saying(&format!("{READY}\n{reply}"))).unwrap();
    let outcome = wire::outcome(program.call(&Call::default()).unwrap());
    assert_eq!(outcome.answers(), [Ok(Some(b"hi".to_vec()))]);
}
