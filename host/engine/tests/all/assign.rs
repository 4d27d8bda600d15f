use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use pulselet_api::{ComponentRef, Digest, Limits, Location, World};
use pulselet_engine::{AssignError, Assigned, Grants};
use pulselet_test_support::guest;
use sha2::{Digest as _, Sha256};

use crate::host::Recorder;
use crate::setup::{ALL, Setup, component, limits, say, shared};

type Assignment = Result<Assigned<Recorder>, AssignError>;

fn refused(assignment: Assignment, code: &str) -> String {
    let Err(error) = assignment else { panic!("it was taken") };
    assert_eq!(error.code(), code, "{error}");
    error.to_string()
}

pub(crate) fn digest_of(path: &Path) -> Digest {
    Digest(Sha256::digest(fs::read(path).unwrap()).into())
}

#[tokio::test]
async fn a_relative_path_starts_at_the_declarations_folder() {
    let setup = Setup::new();
    let path = setup.write("f.wasm", &fs::read(guest("probe-batch")).unwrap());
    let assigned = setup.assign("f.wasm").unwrap();
    assert_eq!(assigned.world(), World::BatchFunction);
    assert_eq!(assigned.digest(), digest_of(&path));
    let mut instance = assigned.load().unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
}

#[test]
fn what_is_not_a_component_of_ours_is_refused() {
    let setup = Setup::new();
    let text = refused(setup.assign("missing.wasm"), "E2001");
    assert!(text.contains("missing.wasm; build it"), "{text}");
    refused(setup.assign("."), "E2002");
    setup.write("page.wasm", b"<html>");
    refused(setup.assign("page.wasm"), "E2010");
    let whole = fs::read(guest("probe-batch")).unwrap();
    setup.write("cut.wasm", &whole[..whole.len() - 100]);
    refused(setup.assign("cut.wasm"), "E2011");
    setup.write_text("core.wasm", "(module)");
    assert!(refused(setup.assign("core.wasm"), "E2013").contains("wasm32-wasip2"));
    setup.write_text("other.wasm", "(component)");
    refused(setup.assign("other.wasm"), "E2014");
    assert!(setup.files("compiled").is_empty());
}

#[test]
fn bytes_other_than_declared_are_refused() {
    let setup = Setup::new();
    let other = Digest([7; 32]);
    let declared = ComponentRef { digest: Some(other), ..component(guest("probe-batch")) };
    let text = refused(setup.engine.assign(&declared, Path::new("."), ALL, &limits()), "E2004");
    assert!(text.contains(&other.to_string()) && text.contains("spec.wasm.digest"), "{text}");
    assert!(setup.files("artifacts").is_empty());
    let digest = Some(digest_of(&guest("probe-batch")));
    let declared = ComponentRef { digest, ..component(guest("probe-batch")) };
    setup.engine.assign(&declared, Path::new("."), ALL, &limits()).unwrap();
}

#[test]
fn a_component_over_the_size_limit_is_refused() {
    let setup = Setup::with(|options| options.max_artifact_bytes = 1_000);
    assert!(refused(setup.assign(guest("probe")), "E2003").contains("more than 1000 bytes"));
}

#[test]
fn a_world_other_than_declared_is_refused() {
    let declared = ComponentRef { world: Some(World::Function), ..component(guest("probe-batch")) };
    let text = refused(shared().engine.assign(&declared, Path::new("."), ALL, &limits()), "E2020");
    assert!(text.contains("is of world `batch-function`, declared is `function`"), "{text}");
}

#[test]
fn imports_that_were_not_granted_are_refused_by_name() {
    let refusal = |grants| refused(shared().assign_with(guest("probe"), grants, &limits()), "E2023");
    let text = refusal(Grants { publish: false, ..ALL });
    assert!(text.contains("`pulselet:function/publish@0.1.0`, `pulselet:function/publish-now@0.1.0`"), "{text}");
    assert!(text.contains("spec.publish"), "{text}");
    assert!(refusal(Grants { settle: false, ..ALL }).contains("processingGuarantee"));
    assert!(refusal(Grants { secrets: false, ..ALL }).contains("spec.secretsMap"));
}

fn with_import(import: &str) -> String {
    format!(
        r#"(component (import "{import}" (instance)) (instance $i)
            (export "pulselet:function/handler@0.1.0" (instance $i)))"#
    )
}

#[test]
fn unknown_imports_are_refused_by_name_before_anything_is_compiled() {
    let setup = Setup::new();
    setup.write_text("f.wasm", &with_import("acme:private/api@1.0.0"));
    assert!(refused(setup.assign("f.wasm"), "E2021").contains("`acme:private/api@1.0.0`"));
    setup.write_text("f.wasm", &with_import("wasi:clocks/monotonic-clock@0.3.0"));
    assert!(refused(setup.assign("f.wasm"), "E2022").contains("`wasi:clocks/monotonic-clock@0.3.0` of WASI 0.3"));
    assert!(setup.files("compiled").is_empty());
}

#[test]
fn a_known_interface_with_an_unknown_function_is_refused_by_name() {
    let setup = Setup::new();
    let later = r#"(component
        (import "wasi:clocks/wall-clock@0.2.99" (instance (export "leap-seconds" (func (result u32)))))
        (instance $i) (export "pulselet:function/handler@0.1.0" (instance $i)))"#;
    setup.write_text("f.wasm", later);
    let text = refused(setup.assign("f.wasm"), "E2025");
    assert!(text.contains("leap-seconds"), "{text}");
}

#[test]
fn an_export_without_the_function_or_of_another_type_is_refused() {
    let setup = Setup::new();
    setup.write_text("f.wasm", r#"(component (instance $i) (export "pulselet:function/handler@0.1.0" (instance $i)))"#);
    assert!(refused(setup.assign("f.wasm"), "E2025").contains("has no function `process`"));
    let other_type = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 0))
        (core instance $c (instantiate $m))
        (func $f (result u32) (canon lift (core func $c "f")))
        (instance $i (export "process" (func $f)))
        (export "pulselet:function/handler@0.1.0" (instance $i)))"#;
    setup.write_text("f.wasm", other_type);
    assert!(refused(setup.assign("f.wasm"), "E2025").contains("another type than the contract's"));
}

#[test]
fn invalid_code_is_refused_when_it_is_compiled() {
    let setup = Setup::new();
    // Says that it returns a number, and does not.
    let invalid = wat::parse_str(
        r#"(component (core module (func (result i32) nop))
            (instance $i) (export "pulselet:function/handler@0.1.0" (instance $i)))"#,
    )
    .unwrap();
    setup.write("f.wasm", &invalid);
    refused(setup.assign("f.wasm"), "E2024");
    assert!(setup.files("compiled").is_empty());
}

#[test]
fn a_component_that_starts_over_its_limits_is_refused_with_the_field() {
    let assign = |limits: &Limits| shared().assign_with(guest("probe"), ALL, limits);
    let text = refused(assign(&Limits { memory_bytes: 1 << 16, ..limits() }), "E2026");
    assert!(text.contains("65536 are allowed; raise spec.limits.memory"), "{text}");
    let text = refused(assign(&Limits { table_elements: 1, ..limits() }), "E2026");
    assert!(text.contains("spec.limits.tableElements"), "{text}");
}

/// Serves each answer once, then nothing.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    format!("http://{address}/f.wasm")
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn at(url: &str, digest: Option<Digest>) -> ComponentRef {
    ComponentRef { location: Location::Http(url.into()), digest, ..component("unused") }
}

#[test]
fn a_component_is_fetched_once_and_kept() {
    let setup = Setup::new();
    let path = guest("probe-batch");
    let component = at(&serve(vec![ok(&fs::read(&path).unwrap())]), Some(digest_of(&path)));
    for _ in 0..2 {
        setup.engine.assign(&component, Path::new("."), ALL, &limits()).unwrap();
    }
}

#[test]
fn a_kept_component_that_was_damaged_is_fetched_again() {
    let setup = Setup::new();
    let path = guest("probe-batch");
    let bytes = fs::read(&path).unwrap();
    let component = at(&serve(vec![ok(&bytes), ok(&bytes)]), Some(digest_of(&path)));
    setup.engine.assign(&component, Path::new("."), ALL, &limits()).unwrap();
    let kept = setup.files("artifacts").remove(0);
    fs::remove_file(&kept).unwrap();
    fs::write(&kept, vec![0; bytes.len()]).unwrap();
    setup.engine.assign(&component, Path::new("."), ALL, &limits()).unwrap();
    assert!(fs::read(&kept).unwrap() == bytes);
}

#[test]
fn what_an_address_serves_must_be_there_bounded_and_as_declared() {
    let setup = Setup::with(|options| options.max_artifact_bytes = 100);
    let assign = |component: &ComponentRef| setup.engine.assign(component, Path::new("."), ALL, &limits());
    let digest = Some(Digest([7; 32]));
    refused(assign(&at("http://127.0.0.1:1/f.wasm", None)), "E2005");
    refused(assign(&at("http://127.0.0.1:1/f.wasm", digest)), "E2006");
    refused(
        assign(&at(&serve(vec![b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()]), digest)),
        "E2006",
    );
    refused(assign(&at(&serve(vec![ok(&[0; 101])]), digest)), "E2003");
    refused(assign(&at(&serve(vec![ok(b"something else")]), digest)), "E2004");
    assert!(setup.files("artifacts").is_empty());
}
