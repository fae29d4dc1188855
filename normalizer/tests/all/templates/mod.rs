//! Templates are a cache: the files are the same without them, with one, with all, and if they are lost at any time.

mod spans;
mod usual;

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::pipeline::{Pipeline, Settings};

use self::spans::Kinds;
use crate::golden;
use crate::support::hostile::{self, BASE_UNIX_NANO, Choices};
use crate::support::random::Random;
use crate::support::written::Written;

/// Number of scenarios, unless CCTF_SCENARIOS is set.
const SCENARIOS: u64 = 100;
const REQUESTS: usize = 24;

/// Stores and restores the pipeline, which loses its templates.
fn restore(pipeline: &mut Pipeline) {
    let state = postcard::to_stdvec(pipeline).unwrap();
    *pipeline = postcard::from_bytes(&state).unwrap();
}

/// The spans read by templates, of all pipelines of a scenario.
fn check(seed: u64) -> [u64; 3] {
    let mut random = Random(seed);
    let mut next = || random.next();
    let choices = &mut Choices(&mut next);
    let settings = hostile::settings(choices);
    let mut kinds = Kinds::new(choices);
    let mut written = [0, 1, usize::MAX, usize::MAX].map(|max| Written::new(settings.clone(), max));
    let mut received_unix_ns = BASE_UNIX_NANO;
    for number in 0..=REQUESTS {
        received_unix_ns += hostile::pause(choices).as_nanos() as u64 / 8;
        let content = match choices.below(24) {
            _ if number == REQUESTS => Content::Shutdown,
            0 => hostile::content(choices),
            1 => Content::Settings {
                body: hostile::settings(choices).to_json().into(),
            },
            _ => Content::Request {
                signal: Signal::Traces,
                body: Bytes::from(kinds.request(choices)),
            },
        };
        let record = Record {
            received_unix_ns,
            content,
        };
        let is_lost = choices.below(6) == 0;
        written.iter_mut().for_each(|each| each.feed(&record));
        if is_lost {
            restore(&mut written[3].pipeline);
        }
        let [without, with @ ..] = &written;
        for (number, with) in with.iter().enumerate() {
            without.assert_same(with, format_args!("seed {seed}: pipeline {} differs", number + 1));
        }
    }
    [0, 1, 2].map(|index: usize| written[index].pipeline.spans_by_template())
}

#[test]
fn any_number_of_templates_gives_the_same_files() {
    let scenarios = std::env::var("CCTF_SCENARIOS").ok();
    let scenarios = scenarios.map_or(SCENARIOS, |text| text.parse().unwrap());
    let (mut one, mut all) = (0, 0);
    for seed in 1..=scenarios {
        let [none, of_one, of_all] = check(seed);
        assert_eq!(none, 0);
        one += of_one;
        all += of_all;
    }
    println!("{one} spans by one template, {all} by all");
    assert!(one > scenarios && all > 20 * scenarios, "{one} and {all}");
}

/// Spans of services as libraries send them, with values that vary: nearly all are read by templates.
#[test]
fn the_spans_of_a_service_have_templates_however_many_endpoints_it_has() {
    for (endpoints, peers, spans_a_request) in [(1, 1, 512), (1000, 1, 32), (1000, 1000, 512), (10, 1000, 32)]
    {
        let [mut plain, mut written] = [0, usize::MAX].map(|max| Written::new(Settings::default(), max));
        let mut sent = 0;
        for number in 0..20_000 / spans_a_request {
            let body = spans::service(number, spans_a_request, endpoints, peers).into();
            sent += spans_a_request;
            let record = Record {
                received_unix_ns: BASE_UNIX_NANO + number as u64 * 1_000_000,
                content: Content::Request {
                    signal: Signal::Traces,
                    body,
                },
            };
            written.feed(&record);
            plain.feed(&record);
        }
        let by_template = written.pipeline.spans_by_template() as usize;
        assert!(
            by_template * 100 > sent * 95,
            "{by_template} of {sent} with {endpoints} endpoints and {peers} peers"
        );
        plain.assert_same(&written, format_args!("{endpoints} endpoints and {peers} peers"));
    }
}

#[test]
fn golden_cases_are_the_same_without_templates_and_with_one() {
    let mut wrong = String::new();
    for folder in golden::cases() {
        let input = golden::read_input(&folder);
        for is_split in [false, true] {
            let files = golden::run_with(usize::MAX, &input, is_split);
            for templates in [0, 1] {
                let with = golden::run_with(templates, &input, is_split);
                golden::compare("all templates", &folder, &files, &with, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
