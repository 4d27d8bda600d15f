//! How a component gets from its bytes to code in memory: verified or compiled at assignment, mapped when it is used.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pulselet_api::Digest;

use crate::code::{Code, Facts};
use crate::compile::{Built, CompileError, CompileRequest, Job, Priority};
use crate::compiled::Refused;
use crate::compiled::collect::collect;
use crate::compiled::seal::Verdict;
use crate::shared::Shared;
use crate::slots::{Slot, held};
use crate::{AssignError, HostCalls, LoadError, Tier};

/// A component of this size takes so long to compile that somebody who waits wants to know.
const LONG_BYTES: u64 = 1 << 20;

impl<H: HostCalls> Shared<H> {
    /// Sees that there is code on disk: what another process or an earlier one has made, or what is made now. Blocks.
    pub(crate) fn prepare(&self, slot: &Arc<Slot<H>>) -> Result<(), CompileError> {
        let _one_at_a_time = held(&slot.preparing);
        if slot.state().best.is_some() {
            return Ok(());
        }
        for tier in Tier::ALL.into_iter().rev() {
            if let Some(verdict) = self.verify(slot, tier) {
                self.adopt(slot, tier, verdict);
                return Ok(());
            }
        }
        let answer = self.queue.ask(Job { digest: slot.digest, tier: self.first_tier() }, Priority::Deploy);
        // Blocks whoever calls this, also on a thread of a runtime, which tokio's own way of waiting refuses to do.
        futures::executor::block_on(answer).unwrap_or(Err(CompileError::Ending))
    }

    /// The same for a message that waits, without blocking.
    pub(crate) async fn restore(&self, slot: &Slot<H>) -> Result<(), CompileError> {
        let answer = self.queue.ask(Job { digest: slot.digest, tier: self.first_tier() }, Priority::Message);
        answer.await.unwrap_or(Err(CompileError::Ending))
    }

    /// Maps and links the best code there is, unless that is done already. What cannot be mapped is set aside.
    pub(crate) fn load(&self, slot: &Arc<Slot<H>>) -> Result<Arc<Code<H>>, AssignError> {
        let code = match self.loaded(slot) {
            Some(code) => code,
            None => self.map(slot)?,
        };
        self.residency.used(slot, &code);
        Ok(code)
    }

    /// The best code, if it is in memory.
    fn loaded(&self, slot: &Slot<H>) -> Option<Arc<Code<H>>> {
        let state = slot.state();
        state.loaded().filter(|code| Some(code.tier) == state.best)
    }

    fn map(&self, slot: &Arc<Slot<H>>) -> Result<Arc<Code<H>>, AssignError> {
        // Before the slot is locked, since room is made by looking into others.
        let room = loop {
            match Arc::clone(&self.loading).try_acquire_owned() {
                Ok(room) => break room,
                Err(_) if self.residency.make_room() => {}
                Err(_) => return Err(LoadError::Full { budget: self.budgets().loaded }.into()),
            }
        };
        let mut state = slot.state();
        if let Some(code) = state.loaded().filter(|code| Some(code.tier) == state.best) {
            return Ok(code);
        }
        let tier = state.best.unwrap_or(self.first_tier());
        let key = self.key(slot.digest, tier);
        let verdict = state.verdict(tier);
        let before = *verdict;
        let component = match self.compiled.map(&self.tier(tier).wasmtime, key, verdict) {
            Ok(component) => component,
            Err(refused) => {
                let reason = refused.to_string();
                *verdict = None;
                state.best = None;
                drop(state);
                self.refuse(slot, tier, &refused);
                return Err(LoadError::Code { component: slot.digest, path: self.compiled.path(key), reason }.into());
            }
        };
        if before.is_some() && before != *verdict {
            self.counters.reverified.fetch_add(1, Ordering::Relaxed);
        }
        let file_bytes = verdict.map_or(0, |verdict| verdict.bytes);
        let number = slot.current().load(Ordering::Relaxed);
        let facts = Facts { world: slot.world, tier, number, file_bytes };
        let code = Code::link(&component, facts, &self.tier(tier).linker, room)
            .map_err(|error| AssignError::Link(format!("{error:#}")))?;
        let code = Arc::new(code);
        state.set_loaded(&code);
        slot.loads.fetch_add(1, Ordering::Relaxed);
        self.counters.loads.fetch_add(1, Ordering::Relaxed);
        Ok(code)
    }

    /// One compilation, on a thread of the queue.
    pub(crate) fn build(&self, job: Job, priority: Priority) -> Built {
        // Nobody wants it any more.
        let Some(slot) = self.slots.find(job.digest) else { return Ok(()) };
        if let Some(verdict) = self.verify(&slot, job.tier) {
            self.adopt(&slot, job.tier, verdict);
            return Ok(());
        }
        let (tier, verdict) = match self.compile(&slot, job.tier, priority) {
            Ok(verdict) => (job.tier, verdict),
            // The baseline does not take everything; what it refuses may still be good.
            Err(error) if job.tier == Tier::Winch && !matches!(error, CompileError::Keep { .. }) => {
                tracing::info!(component = %job.digest, %error, "no baseline code");
                (Tier::Cranelift, self.compile(&slot, Tier::Cranelift, priority)?)
            }
            Err(error) => return Err(error),
        };
        self.adopt(&slot, tier, verdict);
        let folders = [self.artifacts.folder(), self.compiled.folder()];
        let removed = collect(&folders, self.store_bytes, &self.uses);
        self.counters.collected_bytes.fetch_add(removed, Ordering::Relaxed);
        Ok(())
    }

    /// Puts a copy of a component's best code in place for another component, whose code it must be too.
    pub(crate) fn copy_code(&self, from: &Slot<H>, to: Digest) -> std::io::Result<()> {
        let tier = from.state().best.unwrap_or(self.first_tier());
        let code = self.compiled.read(self.key(from.digest, tier))?;
        let mut file = self.compiled.begin()?;
        file.write_all(&code)?;
        self.compiled.publish(self.key(to, tier), file).map(drop)
    }

    fn compile(&self, slot: &Slot<H>, tier: Tier, priority: Priority) -> Result<Verdict, CompileError> {
        let keep = |error: std::io::Error| CompileError::Keep {
            path: self.code_path(slot.digest, tier),
            reason: error.to_string(),
        };
        let component = self.artifacts.path(slot.digest);
        let have = self.artifacts.obtain_again(&slot.source.component, &slot.source.base_dir, slot.digest);
        have.map_err(|error| CompileError::Artifact { path: component.clone(), reason: error.to_string() })?;
        let bytes = std::fs::metadata(&component).map_or(0, |metadata| metadata.len());
        if bytes >= LONG_BYTES && priority > Priority::TierUp {
            tracing::info!(component = %slot.digest, bytes, compiler = %tier, "compiling, which takes a while");
        }
        let file = self.compiled.begin().map_err(keep)?;
        let request = CompileRequest {
            tier,
            cpu: self.cpu,
            memory_bytes: self.compile_limits.memory_bytes,
            cpu_time: self.compile_limits.cpu_time,
            nice: match priority {
                Priority::Message => 0,
                Priority::Deploy => 5,
                Priority::TierUp => 15,
            },
            digest: slot.digest,
            component,
            output: file.path().to_owned(),
        };
        self.compiler.run(&request, &self.compile_limits)?;
        let [winch, cranelift] = &self.counters.compiled;
        let counter = if tier == Tier::Winch { winch } else { cranelift };
        counter.fetch_add(1, Ordering::Relaxed);
        self.compiled.publish(self.key(slot.digest, tier), file).map_err(keep)
    }

    /// Code is on disk: from now on it is what is loaded, if it is the best there is. What is loaded already is replaced
    /// here, away from messages; instances of it end with the call they are in.
    fn adopt(&self, slot: &Arc<Slot<H>>, tier: Tier, verdict: Verdict) {
        let was_loaded = {
            let mut state = slot.state();
            *state.verdict(tier) = Some(verdict);
            if state.best.is_some_and(|best| best >= tier) {
                return;
            }
            let before = state.best.replace(tier);
            before.is_some() && state.loaded().is_some()
        };
        if was_loaded {
            slot.supersede();
            if let Err(error) = self.load(slot) {
                tracing::warn!(component = %slot.digest, %error, "better code was made and does not load");
            }
        }
        if tier < Tier::Cranelift {
            // Nobody waits for it.
            drop(self.queue.ask(Job { digest: slot.digest, tier: Tier::Cranelift }, Priority::TierUp));
        }
    }

    /// What is known of a file that is right; one that is wrong is set aside.
    fn verify(&self, slot: &Slot<H>, tier: Tier) -> Option<Verdict> {
        if tier < self.first_tier() {
            return None;
        }
        match self.compiled.verify(self.key(slot.digest, tier)) {
            Ok(verdict) => Some(verdict),
            Err(refused) => {
                self.refuse(slot, tier, &refused);
                None
            }
        }
    }

    fn refuse(&self, slot: &Slot<H>, tier: Tier, refused: &Refused) {
        if matches!(refused, Refused::Missing) {
            return;
        }
        let path = self.code_path(slot.digest, tier);
        tracing::warn!(component = %slot.digest, path = %path.display(), "compiled code is not used: {refused}");
        self.counters.refused_files.fetch_add(1, Ordering::Relaxed);
        self.compiled.set_aside(self.key(slot.digest, tier));
    }
}
