use super::Rules;
use crate::problem::Problem;
use crate::resolved::{Inputs, Output};
use crate::rule::Rule;
use crate::shape::shorten;
use crate::topic::{Pattern, TopicName, TopicNameError};

impl Rules<'_> {
    pub(super) fn inputs(&mut self) -> Inputs {
        let input = &self.spec.input;
        let none = Inputs::Topics(Vec::new());
        match (&input.topic_pattern, input.topics.is_empty()) {
            (None, true) => {
                let problem = Problem::new(Rule::InputMissing, "spec.input", "neither is given");
                self.report(problem.remedy("write `topics: [NAME]`"));
                none
            }
            (Some(pattern), false) => {
                let problem = Problem::new(Rule::InputMissing, "spec.input.topicPattern", shorten(pattern));
                self.report(problem.remedy("remove it or `spec.input.topics`"));
                none
            }
            (Some(text), true) => match Pattern::parse_in(text, self.tenant, self.namespace) {
                Ok(pattern) => Inputs::Pattern(pattern),
                Err(error) => {
                    self.report(bad_topic("spec.input.topicPattern", error));
                    none
                }
            },
            (None, false) => Inputs::Topics(self.input_topics()),
        }
    }

    fn input_topics(&mut self) -> Vec<TopicName> {
        let mut topics: Vec<TopicName> = Vec::new();
        for (index, text) in self.spec.input.topics.iter().enumerate() {
            let path = format!("spec.input.topics[{index}]");
            let Some(topic) = self.topic(&path, text) else { continue };
            // A partition is part of its topic, and would be read twice.
            let is_read = topics.iter().any(|known| {
                *known == topic || *known == topic.without_partition() || known.without_partition() == topic
            });
            if is_read {
                self.report(Problem::new(Rule::RepeatedInput, path, shorten(text)).remedy("remove it"));
            } else {
                topics.push(topic);
            }
        }
        topics
    }

    pub(super) fn output(&mut self, inputs: &Inputs) -> Option<Output> {
        let output = self.spec.output.as_ref()?;
        let topic = self.topic_not_read("spec.output.topic", Some(&output.topic), inputs)?;
        Some(Output { topic })
    }

    pub(super) fn publish(&mut self) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (index, text) in self.spec.publish.iter().enumerate() {
            match Pattern::parse_in(text, self.tenant, self.namespace) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.report(bad_topic(&format!("spec.publish[{index}]"), error)),
            }
        }
        patterns
    }

    /// A topic that the host writes to by itself, and that the function must not read therefore.
    pub(super) fn topic_not_read(&mut self, path: &str, text: Option<&str>, inputs: &Inputs) -> Option<TopicName> {
        let topic = self.topic(path, text?)?;
        let is_read = match inputs {
            Inputs::Topics(topics) => topics.iter().any(|input| input.without_partition() == topic.without_partition()),
            Inputs::Pattern(pattern) => pattern.matches(&topic),
        };
        if is_read {
            let (input, remedy) = match inputs {
                Inputs::Topics(_) => ("spec.input.topics", "write another topic"),
                Inputs::Pattern(_) => ("spec.input.topicPattern", "write another topic, or narrow the pattern"),
            };
            self.report(
                Problem::new(Rule::Loop, path, format!("{:?}", topic.as_str()))
                    .because(format!("`{input}` has it too, and what a function writes must not be what it reads"))
                    .remedy(remedy)
                    .also("spec.input"),
            );
        }
        Some(topic)
    }

    fn topic(&mut self, path: &str, text: &str) -> Option<TopicName> {
        match TopicName::parse_in(text, self.tenant, self.namespace) {
            Ok(topic) => Some(topic),
            Err(error) => {
                self.report(bad_topic(path, error));
                None
            }
        }
    }
}

fn bad_topic(path: &str, error: TopicNameError) -> Problem {
    Problem::new(Rule::TopicName, path, shorten(&error.text))
        .because(error.rule)
        .remedy(format!("write a topic {} as {}", error.what, form(error.what)))
        .also("spec.tenant")
        .also("spec.namespace")
}

fn form(what: &str) -> &'static str {
    if what == "pattern" { "`[persistent://]tenant/namespace/regex`" } else { "`[persistent://]tenant/namespace/name`" }
}
