use pulselet_broker::batch::{Batch, Outgoing};
use pulselet_broker::*;
use pulselet_broker_embedded::*;

#[tokio::test]
async fn what_is_sent_arrives() {
    let dir = tempfile::tempdir().unwrap();
    for storage in [Storage::Ephemeral, Storage::Folder(dir.path().join("x"))] {
        let broker = EmbeddedBroker::open(Options::new(storage)).unwrap();
        let topic: topic::TopicName = "t".parse().unwrap();
        let p = broker
            .produce(ProducerOptions { topic: topic.clone(), name: None, initial_subscription: None })
            .await
            .unwrap();
        for i in 0..10 {
            let text = format!("m{i}");
            let r = p
                .send(Batch::single(&Outgoing { payload: text.as_bytes(), ..Default::default() }, None))
                .await
                .unwrap();
            println!("{r:?}");
        }
        let c = broker
            .subscribe(ConsumerOptions {
                topic,
                subscription: "s".into(),
                subscription_type: SubscriptionType::Shared,
                initial_position: InitialPosition::Earliest,
                consumer_name: "c".into(),
                batch_index_ack: true,
            })
            .await
            .unwrap();
        c.grant(100);
        let mut n = 0;
        while n < 10 {
            if let Event::Entries(entries) = c.next().await.unwrap() {
                for e in entries {
                    for m in &e.messages {
                        c.ack(&[e.id(m)]).await.unwrap();
                        n += 1;
                    }
                }
            }
        }
        drop(c);
        drop(p);
        broker.close().await;
    }
}
