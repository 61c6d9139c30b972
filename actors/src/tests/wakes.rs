//! Devices that are asked to come because their policy changed.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use postern_engine::policy::desired::Removal;
use postern_store::{Reader, StoreError};
use postern_wire::terms::AuthType;

use super::{
    kit::{Device, until},
    notifications::{Bearer, Ground, rules},
    policy::{Paper, look},
};
use crate::policy::{
    Policies,
    inputs::{PolicyDocuments, PolicyInputs, PolicyRules, PolicySettings},
};

/// How many a minute.
struct Set(AtomicU32);

impl PolicyRules for Set {
    fn read(&self, _: &mut Reader) -> Result<PolicySettings, StoreError> {
        let wakes_per_minute = self.0.load(Ordering::SeqCst);
        Ok(PolicySettings { wakes_per_minute, ..PolicySettings::default() })
    }
}

async fn count(ground: &Ground, devices: &[Device]) -> usize {
    let mut jobs = 0;
    for device in devices {
        jobs += ground.jobs(device).await.len();
    }
    jobs
}

#[actix::test]
async fn a_change_asks_for_its_devices_a_few_at_a_time_each_once_and_for_nobody_where_that_is_off() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let mut silent = ground.core.enrol("s", AuthType::Md5).await;
    silent.session(&ground.core).await;
    let mut devices = Vec::new();
    for number in 0..4 {
        let mut device = ground.device(&format!("d{number}"), true, Some("sms")).await;
        device.session(&ground.core).await;
        devices.push(device);
    }
    let (paper, set) = (Arc::new(Paper::default()), Arc::new(Set(AtomicU32::new(0))));
    paper.say(&[("./Settings/Policy/Lockdown/Camera", Some("false"), Removal::Restore)]);
    let inputs = PolicyInputs {
        documents: Some(Arc::clone(&paper) as Arc<dyn PolicyDocuments>),
        rules: Arc::clone(&set) as Arc<dyn PolicyRules>,
        ..PolicyInputs::default()
    };
    let policies = Policies::new(ground.core.devices.clone(), inputs);
    assert_eq!(look(&policies).await.changed, 5);
    assert_eq!(count(&ground, &devices).await, 0, "it is off");

    set.0.store(1, Ordering::SeqCst);
    look(&policies).await;
    until("the first is asked for", async || count(&ground, &devices).await == 1).await;
    look(&policies).await;
    assert_eq!(count(&ground, &devices).await, 1, "one a minute");

    set.0.store(6_000, Ordering::SeqCst);
    look(&policies).await;
    until("all are asked for", async || count(&ground, &devices).await == 4).await;
    look(&policies).await;
    for device in &devices {
        let jobs = ground.jobs(device).await;
        assert_eq!((jobs.len(), jobs[0].asked_by.as_deref()), (1, Some("policy")), "each once");
    }
    assert!(ground.jobs(&silent).await.is_empty(), "it has no address");
    ground.core.stop().await;
}
