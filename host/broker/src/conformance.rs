//! What every broker must do, as a library of cases.
//!
//! A crate that implements [`Broker`] writes a [`Fixture`] and one line,
//! `pulselet_broker::conformance_suite!(MyFixture::open)`, and gets a test for each case. The doc of a case names what
//! it rests on: a class of Apache Pulsar's broker (version 4), a page of its documentation, or an observation made on
//! a broker of version 4.2. Where a case and a real Pulsar disagree, the case is wrong.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests: a panic is how they fail"
)]

pub mod acks;
pub mod delivery;
pub mod keys;
mod lab;
pub mod life;
pub mod order;
pub mod producer;
pub mod redelivery;
pub mod seek;
#[cfg(test)]
mod tests;
pub mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::Broker;
use crate::topic::TopicName;

/// A broker under test, with nothing in it.
pub trait Fixture: Send + 'static {
    /// The broker. Handles are dropped before [`Fixture::restart`] and [`Fixture::kill`] are called.
    fn broker(&self) -> Arc<dyn Broker>;

    /// What of the optional parts it has.
    fn features(&self) -> Features;

    /// Stops the broker in good order and starts it again.
    fn restart(&mut self) -> impl Future<Output = ()> + Send;

    /// Ends the broker at once, as a crash would, and starts it again.
    fn kill(&mut self) -> impl Future<Output = ()> + Send;

    /// A topic that no other case uses.
    fn topic(&self, name: &str) -> TopicName {
        format!("persistent://public/default/{name}").parse().unwrap()
    }
}

/// What a broker under test can do. Cases that need more pass without testing anything, so a fixture should offer all it
/// can.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// What is confirmed survives [`Fixture::kill`] and [`Fixture::restart`].
    pub durable: bool,
    /// Acknowledged members of a batch are remembered one by one where a consumer wants that (Pulsar:
    /// `acknowledgmentAtBatchIndexLevelEnabled`).
    pub batch_index_ack: bool,
    /// Batches with known sequence ids are dropped (Pulsar: `brokerDeduplicationEnabled`, or the namespace's policy).
    pub deduplication: bool,
    /// Messages a consumer of a Shared subscription may hold (Pulsar: `maxUnackedMessagesPerConsumer`), if that is
    /// between 1,100 (other cases hold more than a thousand) and 5,000, so that it can be tested.
    pub max_unacked: Option<u32>,
}

/// Runs one case, with a limit on its time.
pub fn run<F, Opening, Case>(open: impl FnOnce() -> Opening, case: impl FnOnce(F) -> Case)
where
    F: Fixture,
    Opening: Future<Output = F>,
    Case: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(120), async { case(open().await).await }).await };
    assert!(runtime.block_on(limited).is_ok(), "the case did not end");
}

/// Makes a test of each case, with a fixture that this expression opens: `fn() -> impl Future<Output = impl Fixture>`.
#[macro_export]
macro_rules! conformance_suite {
    ($open:expr) => {
        $crate::conformance_tests! { $open;
            acks {
                an_acked_message_does_not_come_again
                an_unacked_message_comes_again_to_the_next_consumer
                acks_may_come_in_any_order
                a_second_ack_does_nothing
                one_member_acked_with_batch_index_acks_stays_away
                one_member_acked_without_batch_index_acks_brings_the_entry_whole
                all_members_acked_one_by_one_finish_the_entry
                members_acked_by_one_call_finish_the_entry
                the_confirmation_of_a_member_waits_for_the_rest_of_its_entry
                the_confirmation_of_a_member_fails_when_the_consumer_ends
                members_a_batch_index_consumer_acked_are_not_missed_by_one_without
                a_cumulative_ack_covers_everything_before_it
                a_cumulative_ack_inside_a_batch_leaves_the_rest
                a_cumulative_ack_inside_a_batch_without_batch_index_acks_leaves_the_entry
                a_cumulative_ack_is_refused_where_many_read
                an_ack_of_another_topic_does_nothing
                an_ack_from_a_consumer_that_was_replaced_counts
                a_confirmed_ack_survives_a_kill
                a_confirmed_ack_of_a_member_survives_a_kill
                acks_out_of_order_survive_a_restart
            }
            delivery {
                nothing_arrives_before_the_first_grant
                one_permit_brings_a_whole_batch_and_the_rest_is_owed
                permits_add_up
                every_subscription_gets_everything
                a_new_subscription_starts_where_it_asks_to
                an_existing_subscription_goes_on_where_it_was
                consumers_of_a_shared_subscription_share_the_messages
                what_came_with_a_message_arrives_with_it
                message_ids_tell_batches_from_single_messages
                an_event_is_not_lost_when_next_is_cancelled
                a_consumer_over_the_limit_of_unacked_messages_waits_until_half_of_them_are_acked
                a_delayed_message_waits_on_shared_while_others_pass
                a_delayed_message_does_not_wait_on_exclusive
                a_backlog_larger_than_any_cache_arrives_in_order
            }
            redelivery {
                a_nack_on_shared_brings_the_message_again_and_counts
                a_delayed_nack_lets_others_pass
                a_nack_on_exclusive_gives_back_everything_in_order
                a_nack_on_failover_gives_back_everything_in_order
                a_nack_on_key_shared_brings_the_message_to_the_same_consumer
                a_nack_of_a_member_brings_the_rest_of_its_entry
                a_nack_of_a_member_without_batch_index_acks_brings_the_entry_whole
                a_nack_of_an_acked_message_does_nothing
                an_ack_after_a_nack_keeps_the_message_away
                messages_of_a_closed_consumer_go_to_the_others_uncounted
                a_dropped_consumer_counts_as_closed
                what_waits_for_a_delayed_nack_comes_at_once_when_its_consumer_closes
            }
            order {
                an_exclusive_consumer_gets_everything_in_order
                a_second_exclusive_consumer_is_refused_until_the_first_has_left
                another_type_is_refused_while_consumers_are_connected
                the_active_failover_consumer_is_the_first_by_priority_then_by_name
                a_failover_consumer_of_better_priority_takes_over
                a_failover_consumer_of_lower_priority_stands_by
                the_next_failover_consumer_gets_what_was_not_acked_in_order
                failover_consumers_share_the_partitions
            }
            keys {
                messages_of_a_key_go_to_one_consumer_in_order
                every_key_is_served_while_consumers_come_and_go
                a_consumer_that_joins_gets_no_message_of_a_key_before_the_old_one_has_acked
                messages_of_a_key_go_on_in_order_when_their_consumer_leaves
                sticky_ranges_that_overlap_are_refused
                sticky_ranges_and_split_ones_do_not_mix
                a_slot_that_nobody_serves_waits_and_the_others_go_on
                slot_0_counts_as_slot_1
                the_ordering_key_goes_before_the_key
                a_batch_of_many_keys_goes_whole_by_its_first_message
                messages_without_a_key_go_to_one_consumer
            }
            producer {
                receipts_tell_rising_positions
                a_batch_is_stored_as_one_entry
                a_repeated_sequence_id_is_stored_once
                a_gap_in_sequence_ids_is_allowed
                a_batch_that_overlaps_stored_ids_is_dropped_whole
                a_batch_sent_again_while_under_way_is_stored_once
                sequence_ids_are_counted_where_none_are_given
                a_producer_opened_again_learns_its_last_sequence_id
                the_last_sequence_id_survives_a_kill
                a_name_is_taken_until_its_producer_closes
                producers_without_a_name_get_different_ones
                an_entry_over_the_limit_is_refused_and_others_go_on
                an_initial_subscription_is_made_with_the_topic
                an_initial_subscription_is_not_made_on_an_existing_topic
                a_message_with_a_receipt_survives_a_kill
                producers_of_one_topic_do_not_disturb_each_other
            }
            seek {
                a_seek_to_the_start_brings_everything_again
                a_seek_to_the_end_skips_everything
                a_seek_to_a_message_brings_it_next
                a_seek_into_a_batch_brings_the_rest_of_it
                a_seek_to_a_time_brings_what_was_published_since
                a_seek_tells_every_consumer
                a_seek_leaves_other_subscriptions_alone
                an_ack_from_before_a_seek_does_no_harm
                a_cumulative_ack_from_before_a_seek_does_no_harm
                a_seek_survives_a_kill
                permits_of_what_was_not_seen_are_not_lost_in_a_seek
            }
            life {
                a_topic_has_no_partitions_until_they_are_made
                partitions_can_only_become_more
                a_partitioned_topic_is_used_by_its_partitions
                new_partitions_have_the_subscriptions_of_the_topic
                topics_are_found_by_pattern
                a_subscription_made_ahead_keeps_what_follows
                a_deleted_subscription_is_gone
                a_subscription_in_use_is_not_deleted
                a_deleted_topic_ends_its_users_and_can_be_made_again
                what_does_not_exist_is_said_not_to
                a_backlog_counts_messages_and_what_is_held
                the_first_unacked_entry_is_known
                a_publish_after_subscribe_at_latest_arrives
                a_restart_keeps_topics_cursors_and_backlogs
                a_closed_handle_says_so
            }
            watch {
                a_new_topic_is_told_to_those_whose_pattern_it_matches
                a_removed_topic_is_told_to_those_whose_pattern_it_matched
                new_partitions_are_told_to_those_who_watch_the_topic
                new_partitions_are_told_to_those_whose_pattern_matches
                other_topics_wake_nobody
                what_changes_before_anybody_asks_is_told
            }
        }
    };
}

/// One test of each listed case. Use [`conformance_suite`](crate::conformance_suite).
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($open:expr; $($group:ident { $($case:ident)* })*) => {
        $(mod $group {
            use super::*;
            $(#[test]
            fn $case() {
                $crate::conformance::run($open, $crate::conformance::$group::$case);
            })*
        })*
    };
}
