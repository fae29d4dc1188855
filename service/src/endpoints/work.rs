//! /work?cpu_ms&sleep_ms&resp_kb&call_url: synthetic work, for health checks and as a baseline.

use std::borrow::Cow;
use std::time::Duration;

use super::Tools;
use crate::burn::burn;
use crate::request::{Answer, OCTETS, Outcome, Request};

/// Maximum for cpu_ms and sleep_ms.
const MS_MAX: f64 = 60_000.0;
const RESP_KB_MAX: usize = 16 << 10;

/// Parameters of a request.
struct Parameters {
    cpu_ms: f64,
    sleep_ms: f64,
    resp_kb: usize,
}

/// 200 with `resp_kb` KiB after `cpu_ms` of this thread's CPU time and `sleep_ms` of sleep, or 400 for invalid parameters.
pub fn run(request: &Request, _tools: &Tools<'_>) -> Outcome {
    let parameters = match Parameters::parse(request) {
        Ok(parameters) => parameters,
        Err(message) => return Outcome::failed(Answer::error(400, &message)),
    };
    burn((parameters.cpu_ms * 1e6) as u64);
    let answer = Answer::new(200, OCTETS, vec![b'x'; parameters.resp_kb << 10]);
    let call_url = request
        .parameter("call_url")
        .filter(|url| !url.is_empty())
        .map(Cow::into_owned);
    Outcome {
        call_url: call_url.map(Into::into),
        sleep: Duration::from_nanos((parameters.sleep_ms * 1e6) as u64),
        ..Outcome::same_for_both(answer)
    }
}

impl Parameters {
    fn parse(request: &Request) -> Result<Self, String> {
        Ok(Self {
            cpu_ms: parse_ms(request, "cpu_ms")?,
            sleep_ms: parse_ms(request, "sleep_ms")?,
            resp_kb: parse_resp_kb(request)?,
        })
    }
}

fn parse_ms(request: &Request, name: &str) -> Result<f64, String> {
    match request.parameter(name).map(|text| text.parse::<f64>()) {
        None => Ok(0.0),
        Some(Ok(ms)) if (0.0..=MS_MAX).contains(&ms) => Ok(ms),
        Some(_) => Err(format!("invalid {name}: use a number from 0 to {MS_MAX}")),
    }
}

fn parse_resp_kb(request: &Request) -> Result<usize, String> {
    match request.parameter("resp_kb").map(|text| text.parse::<usize>()) {
        None => Ok(0),
        Some(Ok(kb)) if kb <= RESP_KB_MAX => Ok(kb),
        Some(_) => Err(format!(
            "invalid resp_kb: use a whole number from 0 to {RESP_KB_MAX}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::testing;

    #[test]
    fn the_answer_has_the_requested_size_and_the_call_is_decoded() {
        let outcome = testing::run(run, "resp_kb=3&call_url=http%3A%2F%2F127.0.0.1%3A1%2Fx", "");
        assert_eq!((outcome.answer.status, outcome.answer.body.len()), (200, 3072));
        assert_eq!(outcome.call_url.as_deref(), Some("http://127.0.0.1:1/x"));
        assert!(testing::run(run, "", "").answer.body.is_empty());
    }

    #[test]
    fn a_sleep_is_left_to_the_slot() {
        assert_eq!(
            testing::run(run, "sleep_ms=2.5", "").sleep,
            Duration::from_micros(2_500)
        );
        assert_eq!(testing::run(run, "cpu_ms=1", "").sleep, Duration::ZERO);
    }

    #[test]
    fn invalid_parameters_are_refused() {
        for query in [
            "cpu_ms=-1",
            "cpu_ms=NaN",
            "cpu_ms=inf",
            "cpu_ms=60001",
            "sleep_ms=-1",
            "sleep_ms=60001",
            "sleep_ms=1s",
            "resp_kb=-1",
            "resp_kb=16385",
            "cpu_ms=",
        ] {
            assert_eq!(testing::run(run, query, "").answer.status, 400, "{query}");
        }
    }
}
