//! [`parse`]: one event of a strategy's answer.

use cctf_stack::stand_ins::placement::{EVENT_AT_S_MAX, REPLICAS_MAX};
use cli::document::Item;

use super::event::{Action, Event, When};
use crate::assignments::Choices;
use crate::site::Site;
use crate::tiers::error::listed;

/// Parses an event. The error is a cause without the name of the program.
///
/// # Errors
/// If it is something else, or names something unknown.
pub fn parse(item: &Item<'_>, site: &Site, choices: &Choices) -> Result<Event, String> {
    let fields = item
        .fields()?
        .only(&["event", "module", "to", "replicas", "at_s", "above"])?;
    let module = fields.required("module")?;
    let group = group(&module, site)?;
    let action = match fields
        .required("event")?
        .choice(&[("migrate", true), ("scale", false)])?
    {
        true => Action::Migrate(node(&fields.required("to")?, choices)?),
        false => {
            let replicas = fields.required("replicas")?.whole(1..=u64::from(REPLICAS_MAX))?;
            Action::Scale(replicas as u32)
        }
    };
    let when = match (fields.get("at_s"), fields.get("above")) {
        (Some(at), None) => {
            let what = format!("a number of seconds from 0 to {EVENT_AT_S_MAX}");
            let at_s = number(&at, &what, |at_s| (0.0..=EVENT_AT_S_MAX).contains(&at_s))?;
            When::At((at_s * 1e9) as i64)
        }
        (None, Some(above)) => {
            let share = number(&above, "a utilisation above 0 and below 1", |share| {
                share > 0.0 && share < 1.0
            })?;
            When::Above(share)
        }
        _ => return Err(item.must_be("an event with either at_s or above")),
    };
    Ok(Event { group, when, action })
}

/// The number of the only group that a name means.
fn group(item: &Item<'_>, site: &Site) -> Result<u32, String> {
    let name = item.text()?;
    let named = (0..).zip(&site.groups).filter(|(_, group)| group.is_named(name));
    let named: Vec<u32> = named.map(|(number, _)| number).collect();
    match named[..] {
        [group] => Ok(group),
        _ => {
            let known = listed(site.groups.iter().map(|group| &group.name));
            Err(item.must_be(&format!("one of {known}")))
        }
    }
}

fn node(item: &Item<'_>, choices: &Choices) -> Result<u32, String> {
    let name = item.text()?;
    let number = choices.nodes.iter().position(|node| node == name);
    number
        .map(|number| number as u32)
        .ok_or_else(|| item.must_be(&format!("one of {}", listed(&choices.nodes))))
}

fn number(item: &Item<'_>, what: &str, is_valid: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value = item.number().map_err(|_| item.must_be(what))?;
    match is_valid(value) {
        true => Ok(value),
        false => Err(item.must_be(what)),
    }
}
