use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn solve(instances: u32, max_map_count: u64, descriptors: u64) -> Result<Budgets, StartError> {
    let options = Options { max_instances: instances, max_baseline_instances: 0, ..Options::new(PathBuf::new()) };
    Budgets::solve(&options, HostLimits { max_map_count, descriptors })
}

#[test]
fn what_instances_leave_over_goes_to_loaded_components() {
    let budgets = solve(1_000, 65_530, 1 << 20).unwrap();
    assert_eq!(budgets.loaded, (65_530 - 2_000 - 6_000) / 3);
    assert_eq!(solve(1_000, 65_530, 8_000).unwrap().loaded, 8_000 - 2_048);
    assert_eq!(solve(10, 1 << 20, 1_024).unwrap().loaded, 512, "half of few descriptors is kept");
}

#[test]
fn the_limit_that_does_not_hold_them_is_named() {
    let limit = |instances, maps, files| match solve(instances, maps, files) {
        Err(StartError::TooManyInstances { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(10_000, 65_530, 1 << 20), "vm.max_map_count");
    assert_eq!(limit(10_000, 1 << 20, 8_000), "RLIMIT_NOFILE (ulimit -n)");
    assert_eq!(limit(30_000, 1 << 20, 1 << 20), "address space");
    assert!(matches!(solve(0, 65_530, 1 << 20), Err(StartError::NoInstances)));
}

#[test]
fn baseline_instances_take_their_share_and_a_cap_is_kept() {
    let options = Options { max_instances: 1_000, max_baseline_instances: 50, ..Options::new(PathBuf::new()) };
    let limits = HostLimits { max_map_count: 65_530, descriptors: 1 << 20 };
    let budgets = Budgets::solve(&options, limits.clone()).unwrap();
    assert_eq!((budgets.memories, budgets.stacks, budgets.baseline_instances), (1_050, 1_050, 50));
    assert_eq!(budgets.loaded, (65_530 - 2_000 - 6_300) / 3);
    let none = Budgets::solve(&Options { baseline: false, ..options.clone() }, limits.clone()).unwrap();
    assert_eq!(none.memories, 1_000);
    let capped = Budgets::solve(&Options { max_loaded: Some(7), ..options }, limits).unwrap();
    assert_eq!(capped.loaded, 7);
}

#[test]
fn each_limit_has_a_line() {
    let text = solve(1_000, 65_530, 20_000).unwrap().to_string();
    let limits: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(limits, ["limit", "instances", "baseline", "memories", "tables", "stacks", "loaded", "maps"]);
}

#[test]
fn an_instance_takes_as_many_places_as_its_memories_or_tables_need() {
    assert_eq!(Budgets::places(0, 0), 1);
    assert_eq!(Budgets::places(1, 4), 1);
    assert_eq!(Budgets::places(1, 5), 2);
    assert_eq!(Budgets::places(3, 4), 3);
}

proptest! {
    #[test]
    fn what_is_promised_fits(instances in 1u32..30_000, maps in 0u64..2_000_000, files in 0u64..2_000_000) {
        let Ok(budgets) = solve(instances, maps, files) else { return Ok(()) };
        prop_assert!(budgets.loaded >= instances);
        let (loaded, live) = (u64::from(budgets.loaded), u64::from(instances));
        prop_assert!(3 * loaded + 4 * live + 2 * u64::from(budgets.stacks) + 2_000 <= maps);
        prop_assert!(loaded <= files);
    }
}
