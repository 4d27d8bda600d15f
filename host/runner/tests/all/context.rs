//! What a function is told and what its answers carry.

use pulselet_broker::batch::{Key, Outgoing};

use crate::rig::Rig;

#[tokio::test]
async fn an_answer_carries_key_event_time_and_properties_of_its_message() {
    let rig = Rig::new();
    let _probe = rig.deploy("").await;
    let properties = [("a", "1"), ("b", "2")];
    let message = Outgoing {
        payload: b"x",
        key: Some(Key::Text("k")),
        properties: properties.as_slice().into(),
        event_time: Some(77),
        ..Outgoing::default()
    };
    rig.send_with(&[message], false).await;
    let answer = rig.read("out").await.messages(1).await.remove(0).1;
    assert_eq!(answer.metadata.key(), Some(&b"k"[..]));
    assert_eq!(answer.metadata.event_time(), Some(77));
    assert_eq!(answer.metadata.properties().collect::<Vec<_>>(), properties);
}

#[tokio::test]
async fn properties_are_not_forwarded_when_that_is_declared() {
    let rig = Rig::new();
    let _probe = rig.deploy("forwardSourceMessageProperty: false").await;
    let properties = [("a", "1")];
    let message = Outgoing { payload: b"x", properties: properties.as_slice().into(), ..Outgoing::default() };
    rig.send_with(&[message], false).await;
    let answer = rig.read("out").await.messages(1).await.remove(0).1;
    assert_eq!(answer.metadata.properties().count(), 0);
}

#[tokio::test]
async fn configuration_and_granted_secrets_reach_the_function_and_others_do_not() {
    let rig = Rig::new();
    let spec = "funcConfig: {suffix: '!', depth: 3}\nsecretsMap: {token: {path: vault, key: token}}";
    let _probe = rig.deploy(spec).await;
    rig.send(&["config suffix", "config depth", "secret token", "identity", "env"]).await;
    let answers = rig.read("out").await.texts(5).await;
    assert_eq!(answers, ["!", "3", "s3cret", "public/default/probe", "0"]);
}

#[tokio::test]
async fn a_component_that_needs_what_is_not_granted_is_refused_when_it_is_deployed() {
    let rig = Rig::new();
    for (component, field) in [
        ("probe-publish", "spec.publish"),
        ("probe-settle", "processingGuarantee"),
        ("probe-secrets", "spec.secretsMap"),
    ] {
        let refused = rig.try_deploy(component, "").await.err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|text| text.contains(field)), "{component}: {refused:?}");
    }
}

#[tokio::test]
async fn log_lines_go_to_the_log_topic_with_pulsars_properties() {
    let rig = Rig::new();
    let _probe = rig.deploy("logTopic: logs").await;
    rig.send(&["log 2", "stdout hello"]).await;
    let lines = rig.read("logs").await.messages(3).await;
    let texts: Vec<_> = lines.iter().map(|(_, m)| String::from_utf8_lossy(&m.payload).into_owned()).collect();
    assert_eq!(texts, ["line 0", "line 1", "hello"]);
    let metadata = &lines[0].1.metadata;
    assert_eq!(metadata.property("loglevel"), Some("INFO"));
    assert_eq!(metadata.property("fqn"), Some("public/default/probe"));
    assert_eq!(metadata.property("instance"), Some("0"));
}
