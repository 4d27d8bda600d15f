//! The functions of this process, as other processes see and change them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use pulselet_api::Declared;
use pulselet_runner::{Condition, DeployError, Deployment, Phase, ReplicaStatus, Updated};

use crate::admin::wire::{Changed, FunctionCondition, FunctionState};

/// Those that run here.
#[derive(Clone, Default)]
pub(crate) struct Functions(Arc<Mutex<Vec<Arc<Deployment>>>>);

impl Functions {
    pub(crate) fn set(&self, deployments: &[Arc<Deployment>]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = deployments.to_vec();
    }

    fn all(&self) -> Vec<Arc<Deployment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By its full name, or by its own if that is enough.
    fn find(&self, name: &str) -> Result<Arc<Deployment>, String> {
        let all = self.all();
        let is_it = |deployment: &&Arc<Deployment>| {
            let function = &deployment.function().name;
            function.to_string() == name || function.name == name
        };
        match all.iter().filter(is_it).collect::<Vec<_>>().as_slice() {
            [one] => Ok(Arc::clone(one)),
            [] => Err(format!("no function {name} runs here; `pulselet ps` prints those that do")),
            _ => Err(format!("{name} could be several functions; write tenant/namespace/name")),
        }
    }

    /// How each is.
    pub(crate) fn states(&self) -> Vec<FunctionState> {
        self.all().iter().map(|deployment| state(deployment)).collect()
    }

    /// Goes over to these declarations, one after the other. What cannot be done is said and changes nothing.
    pub(crate) async fn update(&self, declared: Vec<(Declared, PathBuf)>) -> Vec<Changed> {
        let mut changed = Vec::new();
        for (declared, base_dir) in declared {
            let name = declared.resolved.name.to_string();
            let outcome = match self.find(&name) {
                // On its own, so that it is not left half done when whoever asked for it goes away.
                Ok(deployment) => tokio::spawn(async move {
                    let updated = deployment.update(declared.resolved, &base_dir).await;
                    updated.map(|updated| (updated, deployment)).map_err(Refusal::from)
                })
                .await
                .unwrap_or_else(|_| Err(Refusal::new("the process is ending".to_owned()))),
                Err(error) => Err(Refusal::new(error)),
            };
            changed.push(told(name, outcome));
        }
        changed
    }

    /// Puts back what ran before.
    pub(crate) async fn rollback(&self, name: &str) -> Changed {
        let outcome = match self.find(name) {
            Ok(deployment) => tokio::spawn(async move {
                deployment.rollback().await.map(|updated| (updated, deployment)).map_err(Refusal::from)
            })
            .await
            .unwrap_or_else(|_| Err(Refusal::new("the process is ending".to_owned()))),
            Err(error) => Err(Refusal::new(error)),
        };
        told(name.to_owned(), outcome)
    }
}

/// Why something was not done.
struct Refusal {
    error: String,
    code: Option<&'static str>,
}

impl Refusal {
    fn new(error: String) -> Self {
        Self { error, code: None }
    }
}

impl From<DeployError> for Refusal {
    fn from(error: DeployError) -> Self {
        let code = match &error {
            DeployError::Assign(error) => Some(error.code()),
            _ => None,
        };
        Self { error: error.to_string(), code }
    }
}

fn told(function: String, outcome: Result<(Updated, Arc<Deployment>), Refusal>) -> Changed {
    match outcome {
        Ok((updated, deployment)) => Changed {
            function,
            outcome: Some(
                match updated {
                    Updated::Unchanged => "unchanged",
                    Updated::Swapped => "swapped",
                    Updated::Restarted => "restarted",
                }
                .to_owned(),
            ),
            digest: Some(deployment.component().digest().to_string()),
            error: None,
            code: None,
        },
        Err(Refusal { error, code }) => {
            Changed { function, outcome: None, digest: None, error: Some(error), code: code.map(str::to_owned) }
        }
    }
}

fn state(deployment: &Deployment) -> FunctionState {
    let (function, component, replicas) = (deployment.function(), deployment.component(), deployment.status());
    let residence = component.residence();
    let sum = |of: fn(&ReplicaStatus) -> u64| replicas.iter().map(of).sum::<u64>();
    let instances: u32 = replicas.iter().map(|replica| replica.instances).sum();
    let state = match (replicas.is_empty(), instances, residence.loaded) {
        (true, ..) => "paused",
        (_, 1.., _) => "live",
        (_, 0, true) => "loaded",
        (_, 0, false) => "assigned",
    };
    FunctionState {
        function: function.name.to_string(),
        state: state.to_owned(),
        digest: component.digest().to_string(),
        tier: residence.tier.map(|tier| tier.to_string()),
        replicas: u32::try_from(replicas.len()).unwrap_or(u32::MAX),
        ready: replicas.iter().filter(|replica| replica.phase == Phase::Ready).count() as u32,
        instances,
        loaded_bytes: residence.loaded_bytes,
        code_bytes: residence.code_bytes,
        loads: residence.loads,
        processed: sum(|replica| replica.processed),
        failed: sum(|replica| replica.failed),
        unsettled: sum(|replica| replica.unsettled as u64),
        cold_starts: sum(|replica| replica.cold_starts),
        last_cold_start_seconds: replicas
            .iter()
            .filter_map(|replica| replica.last_cold_start)
            .max()
            .map(|t| t.as_secs_f64()),
        reason: replicas.iter().find_map(|replica| replica.reason.clone()),
        conditions: deployment.conditions().into_iter().map(shown).collect(),
    }
}

fn shown(condition: Condition) -> FunctionCondition {
    FunctionCondition {
        kind: condition.kind.to_string(),
        status: true,
        reason: condition.reason.to_owned(),
        message: condition.message,
        since: condition.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
    }
}
