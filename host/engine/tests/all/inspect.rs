use std::fs;

use proptest::prelude::*;
use pulselet_api::World;
use pulselet_engine::{Grants, ImportClass, InspectError, inspect};
use pulselet_test_support::guest;

fn text(text: &str) -> Result<pulselet_engine::Inspection, InspectError> {
    inspect(&wat::parse_str(text).unwrap())
}

#[test]
fn a_component_shows_its_world_its_size_and_what_it_needs() {
    let bytes = fs::read(guest("probe")).unwrap();
    let inspection = inspect(&bytes).unwrap();
    assert_eq!(inspection.world, World::Function);
    assert_eq!(inspection.size_bytes, bytes.len() as u64);
    assert_eq!(inspection.needs(), Grants { publish: true, settle: true, secrets: true });
    let publish: Vec<_> = inspection.imports_of(ImportClass::Publish).collect();
    assert_eq!(publish, ["pulselet:function/publish@0.1.0", "pulselet:function/publish-now@0.1.0"]);
    assert!(inspection.imports_of(ImportClass::Inert).any(|name| name.starts_with("wasi:cli/stdout@0.2.")));
    assert_eq!(inspection.imports_of(ImportClass::Unknown).count(), 0);

    let batch = inspect(&fs::read(guest("probe-batch")).unwrap()).unwrap();
    assert_eq!(batch.world, World::BatchFunction);
    assert_eq!(batch.needs(), Grants { publish: true, ..Grants::default() });
}

#[test]
fn other_files_are_told_apart() {
    let error = |bytes: &[u8]| inspect(bytes).unwrap_err();
    assert!(error(b"").to_string().contains("it is empty"));
    assert!(error(b"<html><body>").to_string().contains("starts with `<html><b`"));
    assert_eq!(error(b"\0asm").code(), "E2011");
    assert_eq!(error(&wat::parse_str("(module)").unwrap()), InspectError::CoreModule);
    let whole = fs::read(guest("probe")).unwrap();
    let size_bytes = whole.len() as u64 / 2;
    assert_eq!(error(&whole[..whole.len() / 2]), InspectError::Truncated { size_bytes });
    let mut damaged = whole;
    damaged[8] = 0x7f;
    assert_eq!(error(&damaged).code(), "E2012");
}

#[test]
fn a_component_of_another_world_is_refused_with_what_it_exports() {
    assert_eq!(text("(component)"), Err(InspectError::OtherWorld { exports: vec![] }));
    let http = r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#;
    let error = text(http).unwrap_err();
    assert_eq!(error.code(), "E2014");
    assert!(error.to_string().contains("exports `wasi:http/incoming-handler@0.2.0`"), "{error}");
    let both = r#"(component (instance $i)
        (export "pulselet:function/handler@0.1.0" (instance $i))
        (export "pulselet:function/batch-handler@0.1.0" (instance $i)))"#;
    assert_eq!(text(both), Err(InspectError::BothWorlds));
}

#[test]
fn versions_of_the_same_line_belong_together_and_others_do_not() {
    let world = |version: &str| {
        text(&format!(r#"(component (instance $i) (export "pulselet:function/handler@{version}" (instance $i)))"#))
    };
    assert_eq!(world("0.1.7").unwrap().world, World::Function);
    for other in ["0.2.0", "1.0.0", "0.1.0-rc.1"] {
        assert!(world(other).is_err(), "{other}");
    }
}

#[test]
fn imports_are_sorted_into_classes() {
    for (name, class) in [
        ("wasi:filesystem/types@0.2.3", ImportClass::Inert),
        ("wasi:sockets/tcp@0.2.0", ImportClass::Inert),
        ("pulselet:function/context@0.1.9", ImportClass::Inert),
        ("pulselet:function/settle@0.1.0", ImportClass::Settle),
        ("pulselet:function/secrets@0.1.0", ImportClass::Secrets),
        ("wasi:cli/stdout@0.3.0", ImportClass::Wasi03),
        ("wasi:http/types@0.3.0-rc-2025-09-16", ImportClass::Wasi03),
        ("wasi:keyvalue/store@0.2.0-draft", ImportClass::Unknown),
        ("wasi:cli/stdout@0.2.0-rc-2023-11-10", ImportClass::Unknown),
        ("pulselet:function/state@0.1.0", ImportClass::Unknown),
        ("pulselet:function/context@0.2.0", ImportClass::Unknown),
        ("acme:private/api", ImportClass::Unknown),
    ] {
        let component = format!(
            r#"(component (import "{name}" (instance)) (instance $i)
                (export "pulselet:function/handler@0.1.0" (instance $i)))"#
        );
        assert_eq!(text(&component).unwrap().imports[0].class, class, "{name}");
    }
}

fn whole_components() -> &'static [Vec<u8>] {
    static WHOLE: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    WHOLE.get_or_init(|| ["probe", "probe-batch"].map(|name| fs::read(guest(name)).unwrap()).to_vec())
}

proptest! {
    #[test]
    fn any_bytes_are_looked_at_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = inspect(&tail);
        let _ = inspect(&[b"\0asm\x0d\0\x01\0", &tail[..]].concat());
    }

    #[test]
    fn damaged_components_are_looked_at_without_a_panic(
        which in 0usize..2,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = whole_components()[which].clone();
        // The outline is at both ends, the code between them is not read.
        let outline = 4_000.min(bytes.len());
        for (index, value) in changes {
            let at = index.index(outline * 2);
            let at = if at < outline { at } else { bytes.len() - (at - outline) - 1 };
            bytes[at] = value;
        }
        let _ = inspect(&bytes);
        bytes.truncate(end.index(bytes.len()));
        let _ = inspect(&bytes);
    }

    #[test]
    fn a_component_cut_off_anywhere_is_never_taken(end in any::<prop::sample::Index>()) {
        let whole = &whole_components()[0];
        prop_assert!(inspect(&whole[..end.index(whole.len())]).is_err());
    }
}
