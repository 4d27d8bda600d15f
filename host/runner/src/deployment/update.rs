//! New code, and back.
//!
//! The new component is obtained, compiled and loaded while the old one serves. If nothing else changed, each replica
//! goes over to it between two calls, with all its messages in hand; otherwise the function is paused and resumed. The
//! process may die at any moment: what was not settled comes again, and meets whatever is declared then.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pulselet_api::Resolved;
use tokio::sync::watch;

use super::{Condition, ConditionKind, Deployed, Deployment, held};
use crate::replica::revision::{Revision, TRIAL_MESSAGES, Trial, Verdict};
use crate::replica::status::Phase;
use crate::runner::DeployError;

/// How long replicas may take to finish when an update cannot be done in place.
const GRACE: Duration = Duration::from_secs(30);

/// What an update came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Nothing was different.
    Unchanged,
    /// New code, without a pause.
    Swapped,
    /// The replicas were ended and started again.
    Restarted,
}

impl Deployment {
    /// Goes over to another declaration of the same function. Updates of one function take turns.
    ///
    /// # Errors
    /// When it is of another function, or its component is not one that can run: nothing has changed then. When the
    /// replicas cannot be started again.
    ///
    /// # Cancel safety
    /// Either some replicas run the new code and others the old, or none does; updating again mends it.
    pub async fn update(&self, function: Resolved, base_dir: &Path) -> Result<Updated, DeployError> {
        let deployed = &self.deployed;
        let _one_at_a_time = deployed.changing.lock().await;
        let current = deployed.current();
        if function.name != current.function.name {
            let (running, found) = (Box::new(current.function.name.clone()), Box::new(function.name));
            return Err(DeployError::OtherFunction { running, found });
        }
        let assigned = deployed.runner.assign(&function, base_dir).await?;
        if function == *current.function && assigned.digest() == current.assigned.digest() {
            return Ok(Updated::Unchanged);
        }
        let is_new_code = assigned.digest() != current.assigned.digest();
        let on_errors = function.rollback_on_errors.filter(|_| is_new_code);
        let trial = on_errors.map(|on_errors| Arc::new(Trial::new(on_errors.get())));
        let number = current.number + 1;
        let revision = Revision { number, function: Arc::new(function), assigned, trial: trial.clone() };
        let updated = deployed.replace(revision, Some(current)).await?;
        let mut conditions = held(&deployed.conditions);
        conditions.clear(ConditionKind::Degraded);
        conditions.clear(ConditionKind::Progressing);
        if let Some((trial, on_errors)) = trial.zip(on_errors) {
            let message = format!(
                "new component on trial for {TRIAL_MESSAGES} messages; taken back after {on_errors} failed calls"
            );
            conditions.set(ConditionKind::Progressing, "OnTrial", message);
            tokio::spawn(watch_over(Arc::downgrade(deployed), trial.watch(), number));
        }
        Ok(updated)
    }

    /// Puts back what ran before the last update.
    ///
    /// # Errors
    /// When there was no update, or it was taken back already.
    pub async fn rollback(&self) -> Result<Updated, DeployError> {
        let _one_at_a_time = self.deployed.changing.lock().await;
        self.deployed.go_back("taken back by hand").await
    }

    /// What somebody should know of it.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut conditions = held(&self.deployed.conditions).list();
        let is_degraded = conditions.iter().any(|condition| condition.kind == ConditionKind::Degraded);
        if let Some(trouble) = self.component().trouble().filter(|_| !is_degraded) {
            conditions.push(Condition {
                kind: ConditionKind::Degraded,
                reason: "CompilationFailed",
                message: format!("{} ({}): {}", trouble.error.code(), trouble.tier, trouble.error),
                since: trouble.at,
            });
        }
        conditions
    }
}

impl Deployed {
    /// With [`Deployed::changing`] held.
    async fn replace(&self, revision: Revision, before: Option<Revision>) -> Result<Updated, DeployError> {
        let replicas = self.handles();
        let is_stopped = replicas.iter().any(|replica| replica.status.now().phase == Phase::Stopped);
        let running = self.current().function;
        let was_paused = running.paused;
        let in_place = !is_stopped && differs_in_code_only(&running, &revision.function);
        {
            let mut revisions = held(&self.revisions);
            (revisions.current, revisions.before) = (revision.clone(), before);
        }
        if in_place {
            let mut all = true;
            for replica in &replicas {
                all &= replica.swap(&revision).await;
            }
            if all {
                return Ok(Updated::Swapped);
            }
        }
        self.drain(GRACE).await;
        // What was paused by hand stays so.
        if !revision.function.paused && (!replicas.is_empty() || was_paused) {
            self.start().await?;
        }
        Ok(Updated::Restarted)
    }

    /// With [`Deployed::changing`] held.
    async fn go_back(&self, why: &str) -> Result<Updated, DeployError> {
        let (current, before) = {
            let revisions = held(&self.revisions);
            (revisions.current.clone(), revisions.before.clone())
        };
        let function = &current.function.name;
        let before = before.ok_or_else(|| DeployError::NothingBefore(Box::new(function.clone())))?;
        let (left, back) = (current.assigned.digest(), before.assigned.digest());
        tracing::warn!(%function, %left, %back, why, "the component before is put back");
        let revision = Revision { number: current.number + 1, trial: None, ..before };
        let updated = self.replace(revision, None).await?;
        let mut conditions = held(&self.conditions);
        conditions.clear(ConditionKind::Progressing);
        let message = format!("{left} was {why}; {back} runs again; mend the component and update again");
        conditions.set(ConditionKind::Degraded, "RolledBack", message);
        Ok(updated)
    }
}

/// Takes new code back if it fails its trial, unless it was replaced meanwhile.
async fn watch_over(deployed: Weak<Deployed>, mut trial: watch::Receiver<Verdict>, number: u32) {
    let ended = trial.wait_for(|verdict| *verdict != Verdict::Open).await.map(|verdict| *verdict);
    let Ok(verdict) = ended else { return };
    let Some(deployed) = deployed.upgrade() else { return };
    let _one_at_a_time = deployed.changing.lock().await;
    if deployed.current().number != number {
        return;
    }
    if let Verdict::Failed(errors) = verdict {
        let why = format!("taken back after {errors} failed calls on trial");
        if let Err(error) = deployed.go_back(&why).await {
            tracing::error!(%error, "the component before cannot be put back");
            let message = format!("the new component failed its trial and the one before cannot be put back: {error}");
            held(&deployed.conditions).set(ConditionKind::Degraded, "RollbackFailed", message);
        }
    } else {
        held(&deployed.conditions).clear(ConditionKind::Progressing);
    }
}

/// True if running replicas can go over as they are.
fn differs_in_code_only(running: &Resolved, new: &Resolved) -> bool {
    let log_lines_per_second = running.limits.log_lines_per_second;
    let mut same = new.clone();
    same.component = running.component.clone();
    same.limits = running.limits.clone();
    same.batch_messages = running.batch_messages;
    same.instances = running.instances;
    same.rollback_on_errors = running.rollback_on_errors;
    same == *running && new.limits.log_lines_per_second == log_lines_per_second
}
