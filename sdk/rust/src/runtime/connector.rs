//! The connector's side of sources and sinks.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::from_worker;
use crate::config::{Advice, Problems};
use crate::connector::{Connector, OffsetChange};
use crate::{ConfigMap, Error, Manifest, Sink, Source};

/// What sources and sinks have in common.
pub(crate) trait Planned {
    type Config: DeserializeOwned;
    fn manifest() -> Manifest;
    fn validate(config: &Self::Config, problems: &mut Problems);
    fn advise(config: &Self::Config, advice: &mut Advice);
    fn alter_offsets(config: &Self::Config, changes: &[OffsetChange]) -> Result<bool, Error>;
    fn connector(config: Self::Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error>;
}

/// The connector's side of a source.
#[derive(Debug)]
pub(crate) struct SourceSide<S>(PhantomData<S>);

/// The connector's side of a sink.
#[derive(Debug)]
pub(crate) struct SinkSide<S>(PhantomData<S>);

macro_rules! planned {
    ($side:ident $kind:ident) => {
        impl<S: $kind> Planned for $side<S> {
            type Config = S::Config;

            fn manifest() -> Manifest {
                S::manifest()
            }

            fn validate(config: &S::Config, problems: &mut Problems) {
                S::validate(config, problems);
            }

            fn advise(config: &S::Config, advice: &mut Advice) {
                S::advise(config, advice);
            }

            fn alter_offsets(config: &S::Config, changes: &[OffsetChange]) -> Result<bool, Error> {
                S::alter_offsets(config, changes)
            }

            fn connector(config: S::Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error> {
                S::connector(config, map)
            }
        }
    };
}

planned!(SourceSide Source);
planned!(SinkSide Sink);

fn parse<P: Planned>(config: &str) -> Result<(ConfigMap, P::Config), Error> {
    let map = ConfigMap::from_json(config)?;
    let config = P::manifest().parse(&map)?;
    Ok((map, config))
}

/// The answer of `connector.validate`. What the definition of the keys says is part of it, for a
/// caller that has not checked it.
pub(crate) fn validate<P: Planned>(config: &str) -> String {
    let (mut problems, mut advice) = (Problems::new(), Advice::new());
    match ConfigMap::from_json(config) {
        Ok(map) => match P::manifest().parse(&map) {
            Ok(config) => {
                P::validate(&config, &mut problems);
                P::advise(&config, &mut advice);
            }
            Err(wrong) => problems = wrong,
        },
        Err(error) => problems.add("", error.to_string()),
    }
    answer(&problems, &advice)
}

/// Empty where there is nothing to say.
fn answer(problems: &Problems, advice: &Advice) -> String {
    if problems.is_empty() && advice.is_empty() {
        return String::new();
    }
    let mut answer = problems.to_json();
    if let (Value::Object(members), Ok(Value::Object(more))) = (&mut answer, serde_json::to_value(advice)) {
        members.extend(more);
    }
    answer.to_string()
}

/// Takes the array of changes, alone or as the `offsets` of an object, as the REST API has it.
pub(crate) fn alter_offsets<P: Planned>(config: &str, offsets: &str) -> Result<bool, Error> {
    let (_, config) = parse::<P>(config)?;
    let mut changes: Value = from_worker("offsets", offsets)?;
    if let Some(inner) = changes.get_mut("offsets") {
        changes = inner.take();
    }
    let changes: Vec<OffsetChange> = serde_json::from_value(changes)?;
    P::alter_offsets(&config, &changes)
}

pub(crate) fn start<P: Planned>(config: &str) -> Result<Box<dyn Connector>, Error> {
    let (map, config) = parse::<P>(config)?;
    P::connector(config, map)
}

pub(crate) fn task_configs(connector: &mut dyn Connector, max_tasks: u32) -> Result<Vec<String>, Error> {
    let configs = connector.task_configs(max_tasks)?;
    Ok(configs.iter().map(ConfigMap::to_json).collect())
}
