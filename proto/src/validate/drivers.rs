//! [`Drivers`]: the load drivers of a run, with the period in which each sent requests.

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::{Call, File, Milliseconds};

/// Maximum number of drivers that are compared with each other. Further ones are ignored.
const DRIVERS_MAX: usize = 64;

/// First and last time of the requests of each driver.
#[derive(Debug, Default)]
pub(super) struct Drivers(Vec<Driver>);

#[derive(Debug)]
struct Driver {
    instance: String,
    first: Milliseconds,
    last: Milliseconds,
}

impl Drivers {
    /// Adds a call. Only load drivers report lateness.
    pub fn add(&mut self, call: &Call<'_>) {
        if call.lateness_ms.is_none() {
            return;
        }
        let mut known = self.0.iter_mut();
        if let Some(driver) = known.find(|driver| *driver.instance == *call.instance_id) {
            driver.first = driver.first.min(call.ts_start);
            driver.last = driver.last.max(call.ts_start);
        } else if self.0.len() < DRIVERS_MAX {
            self.0.push(Driver {
                instance: call.instance_id.to_string(),
                first: call.ts_start,
                last: call.ts_start,
            });
        }
    }

    /// Reports each driver that started before an earlier one had sent its last request.
    pub fn check(mut self, findings: &mut Findings) {
        self.0.sort_by_key(|driver| driver.first);
        let place = Place {
            file: File::Calls,
            line: None,
        };
        let mut latest: Option<&Driver> = None;
        for driver in &self.0 {
            if let Some(earlier) = latest.filter(|earlier| earlier.last >= driver.first) {
                findings.add(Broken::OneDriver, place, || {
                    format!("{} sent requests while {} did", driver.instance, earlier.instance)
                });
            }
            if latest.is_none_or(|earlier| earlier.last < driver.last) {
                latest = Some(driver);
            }
        }
    }
}
