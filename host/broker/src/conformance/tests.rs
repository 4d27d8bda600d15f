use std::collections::BTreeSet;

#[test]
fn every_case_is_in_the_suite() {
    let sources = [
        include_str!("acks.rs"),
        include_str!("delivery.rs"),
        include_str!("keys.rs"),
        include_str!("life.rs"),
        include_str!("order.rs"),
        include_str!("producer.rs"),
        include_str!("redelivery.rs"),
        include_str!("seek.rs"),
    ];
    let name = |line: &str| line.strip_prefix("pub async fn ").map(|rest| rest.split('<').next().unwrap().to_owned());
    let written: BTreeSet<_> = sources.iter().flat_map(|source| source.lines()).filter_map(name).collect();
    let listed: BTreeSet<_> = include_str!("../conformance.rs").lines().map(|line| line.trim().to_owned()).collect();
    let missing: Vec<_> = written.iter().filter(|case| !listed.contains(*case)).collect();
    assert!(missing.is_empty(), "not in conformance_suite!: {missing:?}");
    assert!(written.len() > 50);
}
