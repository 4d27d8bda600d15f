use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::conditions::locked_version;
use crate::{Comparison, Conditions};

/// Everything a bench has found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    bench: String,
    conditions: Conditions,
    rows: Vec<Row>,
    ratios: Vec<Ratio>,
}

/// One metric of one subject, over all rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub case: String,
    /// `ours`, `floor` (the least that it can cost), or the name of a peer.
    pub subject: String,
    /// What was measured.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// How many samples.
    pub n: usize,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
}

/// Ours divided by another subject, the median over the rounds of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// What was done.
    pub case: String,
    /// What was measured.
    pub metric: String,
    /// Which statistic of it.
    pub stat: String,
    /// The other subject.
    pub ours_over: String,
    /// The ratio.
    pub ratio: f64,
}

impl Report {
    /// An empty report of a run that starts now.
    pub fn start(bench: &str) -> Self {
        Self { bench: bench.into(), conditions: Conditions::read(), rows: Vec::new(), ratios: Vec::new() }
    }

    /// Notes the version of a crate that is measured, as it is locked.
    pub fn measures(&mut self, name: &str) {
        self.conditions.versions.insert(name.into(), locked_version(name));
    }

    /// Adds rows and ratios.
    pub fn compare(&mut self, comparison: &Comparison) {
        self.rows.extend(comparison.rows());
        self.ratios.extend(comparison.ratios());
    }

    /// Adds a row that is compared with nothing.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Prints the table and writes `target/bench/NAME.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&self) -> Result<PathBuf> {
        #[allow(clippy::print_stdout, reason = "the table is what a bench is run for")]
        {
            println!("{self}");
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's folder")?;
        let folder = root.join("target/bench");
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let path = folder.join(format!("{}.json", self.bench));
        let json = serde_json::to_string_pretty(self)?;
        fs::write(&path, json + "\n").with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { cores, cpu, kernel, commit, started, .. } = &self.conditions;
        writeln!(f, "{}: {cores} cores, {cpu}, Linux {kernel}, commit {commit}, {started}", self.bench)?;
        writeln!(
            f,
            "{:<18} {:<10} {:<22} {:<8} {:>8} {:>10} {:>10} {:>10} {:>10}",
            "case", "subject", "metric", "unit", "n", "p50", "p99", "min", "max"
        )?;
        for Row { case, subject, metric, unit, n, p50, p99, min, max } in &self.rows {
            writeln!(
                f,
                "{case:<18} {subject:<10} {metric:<22} {unit:<8} {n:>8} {p50:>10.3} {p99:>10.3} {min:>10.3} {max:>10.3}"
            )?;
        }
        for Ratio { case, metric, stat, ours_over, ratio } in &self.ratios {
            writeln!(f, "{case:<18} {:<10} {metric:<22} {stat:<8} {ratio:>8.3}", format!("/ {ours_over}"))?;
        }
        Ok(())
    }
}
