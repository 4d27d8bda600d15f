use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::{Rules, at_least_one};
use crate::problem::Problem;
use crate::quantity::Quantity;
use crate::resolved::{ComponentRef, Digest, Instances, Limits, Location, Reuse, World};
use crate::rule::Rule;
use crate::shape::shorten;
use crate::spec::{self, default};

impl Rules<'_> {
    pub(super) fn component(&mut self) -> ComponentRef {
        let wasm = &self.spec.wasm;
        let location = self.location(&wasm.location);
        let digest = wasm.digest.as_deref().and_then(|text| {
            let digest = text.parse::<Digest>().ok();
            if digest.is_none() {
                let problem = Problem::new(Rule::Digest, "spec.wasm.digest", shorten(text));
                self.report(problem.remedy("copy it from `pulselet inspect`"));
            }
            digest
        });
        if matches!(location, Location::Http(_)) && wasm.digest.is_none() {
            let problem = Problem::new(Rule::AddressNeedsDigest, "spec.wasm.location", shorten(&wasm.location));
            self.report(problem.remedy("add `spec.wasm.digest: sha256:...`").also("spec.wasm.digest"));
        }
        ComponentRef {
            location,
            digest,
            world: wasm.world.map(|world| match world {
                spec::World::Function => World::Function,
                spec::World::BatchFunction => World::BatchFunction,
            }),
            reuse: match wasm.reuse {
                None | Some(spec::Reuse::Instance) => Reuse::Instance,
                Some(spec::Reuse::Fresh) => Reuse::Fresh,
            },
        }
    }

    fn location(&mut self, text: &str) -> Location {
        let wrong = |because: &str| {
            Problem::new(Rule::Location, "spec.wasm.location", shorten(text))
                .because(because)
                .remedy("write the path of a file, or an `https://` address and a digest")
        };
        match text.split_once("://") {
            Some(("http" | "https", rest)) => {
                if rest.is_empty() || rest.starts_with('/') || rest.contains(|c: char| c.is_whitespace()) {
                    self.report(wrong("the address has no host, or white space in it"));
                }
                return Location::Http(text.to_owned());
            }
            Some(("file", path)) => return self.file(path, wrong("the path is empty")),
            Some((scheme @ ("oci" | "function" | "sink" | "source"), _)) => {
                self.report(wrong(&format!("`{scheme}://` is not supported yet")));
            }
            Some((scheme, _)) => self.report(wrong(&format!("`{scheme}://` is not known"))),
            None => return self.file(text, wrong("the path is empty")),
        }
        Location::File(PathBuf::new())
    }

    fn file(&mut self, path: &str, if_empty: Problem) -> Location {
        if path.trim().is_empty() {
            self.report(if_empty);
        }
        Location::File(PathBuf::from(path))
    }

    pub(super) fn batch_messages(&mut self) -> NonZeroU32 {
        let batch = self.spec.batch.as_ref();
        if batch.is_some() && self.spec.wasm.world == Some(spec::World::Function) {
            let problem = Problem::new(Rule::BatchWorld, "spec.batch", "the world is `function`");
            self.report(problem.remedy("remove `batch`, or write `spec.wasm.world: batch-function`").also("spec.wasm"));
        }
        at_least_one(batch.and_then(|batch| batch.max_messages).unwrap_or(default::BATCH_MESSAGES))
    }

    pub(super) fn instances(&mut self) -> Instances {
        let wasm = &self.spec.wasm;
        let warm = wasm.warm_instances.unwrap_or(0);
        let concurrency = self.spec.concurrency.unwrap_or(1);
        if warm > concurrency {
            let found = format!("{warm}, and `spec.concurrency` is {concurrency}");
            let problem = Problem::new(Rule::WarmInstances, "spec.wasm.warmInstances", found);
            self.report(problem.remedy("lower it, or raise `spec.concurrency`").also("spec.concurrency"));
        }
        let fresh = wasm.reuse == Some(spec::Reuse::Fresh);
        for (field, given) in [("warmInstances", warm > 0), ("idleTimeout", wasm.idle_timeout.is_some())] {
            if fresh && given {
                let problem = Problem::new(Rule::FreshStaysNot, format!("spec.wasm.{field}"), "`reuse` is `Fresh`");
                self.report(problem.remedy("remove it, or write `reuse: Instance`").also("spec.wasm.reuse"));
            }
        }
        let idle_timeout = wasm.idle_timeout.unwrap_or(default::IDLE_TIMEOUT_MS);
        Instances { idle_timeout: Duration::from_millis(idle_timeout.into()), warm }
    }

    pub(super) fn limits(&mut self) -> Limits {
        let none = spec::Limits::default();
        let limits = self.spec.limits.as_ref().unwrap_or(&none);
        let otherwise = Limits::default();
        let memory = limits.memory.as_ref();
        let output = limits.output_bytes.as_ref();
        Limits {
            timeout: self.spec.timeout.map_or(otherwise.timeout, |ms| Duration::from_millis(ms.into())),
            memory_bytes: self.bytes("spec.limits.memory", memory, default::MEMORY, "64Ki", "4Gi"),
            table_elements: limits.table_elements.unwrap_or(otherwise.table_elements),
            output_messages: limits.output_messages.unwrap_or(otherwise.output_messages),
            output_bytes: self.bytes("spec.limits.outputBytes", output, default::OUTPUT_BYTES, "1", "1Gi"),
            log_lines_per_second: limits.log_lines_per_second.unwrap_or(otherwise.log_lines_per_second),
        }
    }
}

/// What a declaration gives that has no `spec.limits`.
impl Default for Limits {
    fn default() -> Self {
        let bytes = |text: &str| Quantity::new(text).bytes().unwrap_or_default();
        Self {
            timeout: Duration::from_millis(default::TIMEOUT_MS.into()),
            memory_bytes: bytes(default::MEMORY),
            table_elements: default::TABLE_ELEMENTS,
            output_messages: default::OUTPUT_MESSAGES,
            output_bytes: bytes(default::OUTPUT_BYTES),
            log_lines_per_second: default::LOG_LINES_PER_SECOND,
        }
    }
}
