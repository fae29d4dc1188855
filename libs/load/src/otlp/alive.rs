//! [`report`]: reports at intervals that the driver is alive.

use std::time::Duration;

use bytes::Bytes;
use otlp_send::Sender;
use tokio::time::{self, MissedTickBehavior};

/// Interval of the reports. After a minute without a report, the normalizer lets another driver start the run.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sends this message at once, and again after each interval, until the runtime ends.
pub async fn report(sender: Sender, message: Bytes) {
    let mut interval = time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = interval.tick().await;
        // A failed report is ignored: others follow, and the failure shows nothing about the spans.
        let _ = sender
            .send_until(message.clone(), Some(now + INTERVAL), |_| {})
            .await;
    }
}
