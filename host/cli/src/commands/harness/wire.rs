use pulselet_engine::contract::{Identity, LogLevel, MessageId};
use pulselet_engine::{Answer, Fault, GuestError};
use pulselet_sdk::testing::protocol::{self, CallResult};

pub(super) fn world(world: pulselet_api::World) -> protocol::World {
    match world {
        pulselet_api::World::Function => protocol::World::Function,
        pulselet_api::World::BatchFunction => protocol::World::BatchFunction,
    }
}

pub(super) fn result(answer: Result<Answer, GuestError>) -> CallResult {
    match answer {
        Ok(answer) => CallResult::Ok { answer: answer.map(protocol::Bytes) },
        Err(GuestError::Retry { reason, delay }) => CallResult::Retry { reason, delay: delay.map(millis) },
        Err(GuestError::Reject(reason)) => CallResult::Reject { reason },
        Err(GuestError::Fatal(reason)) => CallResult::Fatal { reason },
    }
}

/// What a call that did not return means for each of its messages; an error of the host is nobody's result.
pub(super) fn broken_off(fault: &Fault) -> Result<CallResult, String> {
    match fault {
        Fault::Guest(error) => Ok(result(Err(error.clone()))),
        Fault::Trap(reason) => Ok(CallResult::Trap { reason: reason.clone() }),
        Fault::Timeout(_) => Ok(CallResult::Timeout { reason: fault.to_string() }),
        Fault::Host(_) => Err(fault.to_string()),
    }
}

pub(super) fn identity(identity: &protocol::Identity) -> Identity {
    let protocol::Identity { tenant, namespace, name, replica, replicas } = identity.clone();
    Identity { tenant, namespace, name, replica, replicas }
}

pub(super) fn message_id(id: protocol::MessageId) -> MessageId {
    let protocol::MessageId { ledger, entry, partition, batch_index } = id;
    MessageId { ledger, entry, partition, batch_index }
}

pub(super) fn level(level: LogLevel) -> protocol::LogLevel {
    match level {
        LogLevel::Trace => protocol::LogLevel::Trace,
        LogLevel::Debug => protocol::LogLevel::Debug,
        LogLevel::Info => protocol::LogLevel::Info,
        LogLevel::Warn => protocol::LogLevel::Warn,
        LogLevel::Error => protocol::LogLevel::Error,
        LogLevel::Critical => protocol::LogLevel::Critical,
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
