use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_is_parked_is_taken_once_and_a_spot_is_used_again() {
    let (mut spots, now) = (Spots::default(), Instant::now());
    let (first, _) = spots.put("a", Stay::Idle(SECOND), now);
    assert_eq!((spots.take(&first), spots.take(&first)), (Some("a"), None));
    let (second, _) = spots.put("b", Stay::Idle(SECOND), now);
    assert_eq!((spots.take(&first), spots.take(&second)), (None, Some("b")));
    assert_eq!(spots.next_to_leave(), None, "no timer for nothing");
}

#[test]
fn idle_ones_leave_in_time_and_warm_ones_do_not() {
    let (mut spots, now) = (Spots::default(), Instant::now());
    assert!(!spots.put("warm", Stay::Warm, now).1);
    assert!(spots.put("late", Stay::Idle(3 * SECOND), now).1);
    assert!(spots.put("soon", Stay::Idle(SECOND), now).1, "the timer is to be set anew");
    assert!(!spots.put("later", Stay::Idle(4 * SECOND), now).1);
    assert_eq!(spots.next_to_leave(), Some(now + SECOND));
    assert_eq!(spots.leave(now + SECOND), ["soon"]);
    assert_eq!(spots.leave(now + 10 * SECOND), ["late", "later"]);
    assert_eq!((spots.next_to_leave(), spots.evict()), (None, Some("warm")));
}

#[test]
fn the_longest_idle_makes_place_first_and_warm_ones_last() {
    let (mut spots, now) = (Spots::default(), Instant::now());
    for (name, stay) in [("warm", Stay::Warm), ("a", Stay::Idle(SECOND)), ("b", Stay::Idle(SECOND))] {
        spots.put(name, stay, now);
    }
    assert_eq!(
        [spots.evict(), spots.evict(), spots.evict(), spots.evict()],
        [Some("a"), Some("b"), Some("warm"), None]
    );
}

proptest! {
    #[test]
    fn nothing_parked_is_lost_or_given_twice(steps in prop::collection::vec((0u8..4, 0u64..5), 1..200)) {
        let (mut spots, start) = (Spots::default(), Instant::now());
        let (mut inside, mut now) = (HashMap::new(), start);
        for (number, (what, time)) in steps.into_iter().enumerate() {
            let gone = match what {
                0 => {
                    let stay = if time == 0 { Stay::Warm } else { Stay::Idle(time as u32 * SECOND) };
                    inside.insert(number, (spots.put(number, stay, now).0, stay, now));
                    vec![]
                }
                1 => {
                    now += time as u32 * SECOND;
                    let left = spots.leave(now);
                    for (_, stay, at) in left.iter().filter_map(|number| inside.get(number)) {
                        prop_assert!(matches!(stay, Stay::Idle(time) if *at + *time <= now));
                    }
                    left
                }
                2 => spots.evict().into_iter().collect(),
                _ => {
                    let Some(number) = inside.keys().min().copied() else { continue };
                    prop_assert_eq!(spots.take(&inside[&number].0), Some(number));
                    vec![number]
                }
            };
            gone.iter().for_each(|number| assert!(inside.remove(number).is_some()));
            prop_assert_eq!(spots.parked.len(), inside.len());
            prop_assert_eq!(spots.by_idleness.len(), inside.len());
            let idle = inside.values().filter(|(_, stay, _)| *stay != Stay::Warm).count();
            prop_assert_eq!(spots.by_leaving.len(), idle);
        }
    }
}
