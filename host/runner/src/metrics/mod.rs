//! The numbers a runner exports: Pulsar's names, so that existing dashboards work, and ours.
//!
//! A replica that does nothing should cost nothing, so its numbers are one small struct of atomics; names, labels and
//! families are put together when somebody asks for them.
//!
//! - [`names`]: every metric name and label
//! - [`replica`]: the numbers of one replica
//! - [`export`]: what is made of them
//! - [`engine`]: the numbers of the engine
//! - [`summary`]: quantiles over the last minutes
//! - [`histogram`]: how cold starts are spread
//! - [`user`]: the numbers functions make themselves

pub(crate) mod engine;
mod export;
mod histogram;
pub(crate) mod names;
mod replica;
mod summary;
#[cfg(test)]
mod tests;
mod user;

use std::sync::Arc;

use prometheus::Registry;

use crate::function::Facts;
use export::{Labels, Replicas};
pub(crate) use replica::ReplicaMetrics;
pub(crate) use user::UserMetrics;
use user::UserMetricsCollector;

/// All that is exported, registered once for a runner.
#[derive(Clone)]
pub(crate) struct Families {
    replicas: Replicas,
    user: UserMetricsCollector,
    cluster: Arc<str>,
}

impl Families {
    pub(crate) fn register(registry: &Registry, cluster: &str) -> prometheus::Result<Self> {
        let (replicas, user) = (Replicas::new()?, UserMetricsCollector::default());
        registry.register(Box::new(replicas.clone()))?;
        registry.register(Box::new(user.clone()))?;
        Ok(Self { replicas, user, cluster: Arc::from(cluster) })
    }

    /// Takes the numbers of a replica into the export.
    pub(crate) fn add(&self, facts: &Arc<Facts>) -> (ReplicaMetrics, Arc<UserMetrics>) {
        let labels = Labels { facts: Arc::clone(facts), cluster: Arc::clone(&self.cluster) };
        (self.replicas.add(labels.clone()), self.user.add(labels))
    }

    /// Takes the numbers of a replica that is gone out of the export.
    pub(crate) fn remove(&self, metrics: &ReplicaMetrics, user: &Arc<UserMetrics>) {
        self.replicas.remove(metrics);
        self.user.remove(user);
    }
}
