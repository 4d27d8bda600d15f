use crate::report::{Ratio, Row};

/// The subject that ratios are of.
pub const OURS: &str = "ours";

/// Samples of one metric of one case, for each subject and round. Machines drift, so rounds of all subjects are
/// interleaved, a ratio is taken within a round, and the median of the rounds is reported.
#[derive(Clone, Debug)]
pub struct Comparison {
    case: String,
    metric: String,
    unit: String,
    subjects: Vec<Subject>,
}

#[derive(Clone, Debug)]
struct Subject {
    name: String,
    rounds: Vec<Vec<f64>>,
}

impl Comparison {
    /// Nothing measured yet.
    pub fn new(case: &str, metric: &str, unit: &str) -> Self {
        Self { case: case.into(), metric: metric.into(), unit: unit.into(), subjects: Vec::new() }
    }

    /// Adds one round of one subject. Subjects take turns; a round without samples is left out.
    pub fn add(&mut self, subject: &str, mut samples: Vec<f64>) {
        if samples.is_empty() {
            return;
        }
        samples.sort_by(f64::total_cmp);
        match self.subjects.iter_mut().find(|known| known.name == subject) {
            Some(known) => known.rounds.push(samples),
            None => self.subjects.push(Subject { name: subject.into(), rounds: vec![samples] }),
        }
    }

    /// A row for each subject, over all rounds, and one for what ours takes more than each other subject: the
    /// difference of the medians of each round.
    pub fn rows(&self) -> Vec<Row> {
        let whole = self.subjects.iter().map(|subject| {
            let all = sorted(subject.rounds.concat());
            self.row(&subject.name, self.metric.clone(), &all)
        });
        let more = self.pairs().map(|(ours, other)| {
            let difference = |(ours, other): (&Vec<f64>, &Vec<f64>)| quantile(ours, 0.5) - quantile(other, 0.5);
            let differences = sorted(ours.rounds.iter().zip(&other.rounds).map(difference).collect());
            self.row(OURS, format!("{} over {}", self.metric, other.name), &differences)
        });
        whole.chain(more).collect()
    }

    /// Ours over each other subject, for the median and the 99th percentile.
    pub fn ratios(&self) -> Vec<Ratio> {
        let stats = [("p50", 0.5), ("p99", 0.99)];
        self.pairs()
            .flat_map(|(ours, other)| {
                stats.map(|(stat, at)| {
                    let ratio = |(ours, other): (&Vec<f64>, &Vec<f64>)| quantile(ours, at) / quantile(other, at);
                    let ratios = sorted(ours.rounds.iter().zip(&other.rounds).map(ratio).collect());
                    Ratio {
                        case: self.case.clone(),
                        metric: self.metric.clone(),
                        stat: stat.into(),
                        ours_over: other.name.clone(),
                        ratio: quantile(&ratios, 0.5),
                    }
                })
            })
            .collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&Subject, &Subject)> {
        let ours = self.subjects.iter().find(|subject| subject.name == OURS);
        ours.into_iter().flat_map(|ours| {
            self.subjects.iter().filter(|subject| subject.name != OURS).map(move |other| (ours, other))
        })
    }

    fn row(&self, subject: &str, metric: String, sorted: &[f64]) -> Row {
        Row {
            case: self.case.clone(),
            subject: subject.into(),
            metric,
            unit: self.unit.clone(),
            n: sorted.len(),
            p50: quantile(sorted, 0.5),
            p99: quantile(sorted, 0.99),
            min: quantile(sorted, 0.0),
            max: quantile(sorted, 1.0),
        }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The nearest sample; 0 where there are none.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * at).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_within_the_rounds() {
        let mut calls = Comparison::new("one", "call", "us");
        // The machine was ten times slower in the last round, which must not show.
        for (ours, floor) in [(3.0, 2.0), (2.0, 1.0), (20.0, 10.0)] {
            calls.add("floor", vec![floor; 5]);
            calls.add(OURS, vec![ours; 5]);
        }
        let ratios = calls.ratios();
        assert_eq!((ratios[0].stat.as_str(), ratios[0].ratio), ("p50", 2.0));
        assert_eq!(ratios[0].ours_over, "floor");
        let rows = calls.rows();
        assert_eq!((rows[0].subject.as_str(), rows[0].n, rows[0].p50, rows[0].max), ("floor", 15, 2.0, 10.0));
        assert_eq!((rows[2].metric.as_str(), rows[2].n, rows[2].p50), ("call over floor", 3, 1.0));
    }

    #[test]
    fn percentiles_are_samples() {
        let samples = sorted((0..=100).rev().map(f64::from).collect());
        assert_eq!((quantile(&samples, 0.5), quantile(&samples, 0.99), quantile(&samples, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
