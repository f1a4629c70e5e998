//! Events of contracts, decoded by their ABI: the JSON that a compiler writes.
//!
//! The data of a log comes from whoever wrote the contract, so nothing in it is believed: places are checked before
//! they are read, and what is decoded in all cannot be much larger than the data. A log that does not fit its event
//! stays as it is. (The crates for this turn on features of others that the worker uses too, and so would have all of
//! it built twice.)

mod decode;
mod types;

use serde::Deserialize;
use serde_json::{Map, Value};
use sha3::{Digest as _, Keccak256};

use decode::Data;
use types::Type;

/// A parameter as the compiler writes it.
#[derive(Deserialize)]
pub(crate) struct Parameter {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    indexed: bool,
    #[serde(default)]
    components: Vec<Parameter>,
}

/// An element of the ABI: events are of interest.
#[derive(Deserialize)]
struct Element {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<Parameter>,
    #[serde(default)]
    anonymous: bool,
}

/// An event.
pub(crate) struct Event {
    pub(crate) name: String,
    signature: String,
    pub(crate) topic: [u8; 32],
    inputs: Vec<(String, Type, bool)>,
}

/// The events of an ABI.
pub(crate) struct Abi(pub(crate) Vec<Event>);

impl Abi {
    /// Reads the JSON: an array, or what has one under `abi`.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|wrong| format!("it is no JSON: {wrong}"))?;
        let list = json.get("abi").unwrap_or(&json);
        let elements = Vec::<Element>::deserialize(list)
            .map_err(|wrong| format!("it is no array of an ABI's elements: {wrong}"))?;
        let events = elements.into_iter().filter(|element| element.kind == "event" && !element.anonymous);
        let events = events.map(Event::new).collect::<Result<Vec<_>, _>>()?;
        if events.is_empty() {
            return Err("it has no event".into());
        }
        Ok(Self(events))
    }

    /// The event that a log is, with its arguments. None: it is none of this ABI.
    pub(crate) fn decode(&self, topics: &[[u8; 32]], data: &[u8]) -> Option<Value> {
        let (first, indexed) = topics.split_first()?;
        // Some events differ by their indexed parameters only.
        let events = self.0.iter().filter(|event| event.topic == *first);
        events.filter(|event| event.indexed() == indexed.len()).find_map(|event| event.decode(indexed, data))
    }
}

impl Event {
    fn new(element: Element) -> Result<Self, String> {
        let name = element.name;
        let inputs = element.inputs.iter().enumerate().map(|(index, input)| {
            let kind = Type::parse(input).map_err(|wrong| format!("event {name}: {wrong}"))?;
            let name = if input.name.is_empty() { index.to_string() } else { input.name.clone() };
            Ok((name, kind, input.indexed))
        });
        let inputs = inputs.collect::<Result<Vec<_>, String>>()?;
        let kinds: Vec<_> = inputs.iter().map(|(_, kind, _)| kind.to_string()).collect();
        let signature = format!("{name}({})", kinds.join(","));
        let topic = Keccak256::digest(signature.as_bytes()).into();
        Ok(Self { name, signature, topic, inputs })
    }

    fn indexed(&self) -> usize {
        self.inputs.iter().filter(|(_, _, indexed)| *indexed).count()
    }

    fn decode(&self, topics: &[[u8; 32]], data: &[u8]) -> Option<Value> {
        let plain: Vec<_> =
            self.inputs.iter().filter(|(_, _, indexed)| !indexed).map(|(_, kind, _)| kind).collect();
        let mut values = Data::new(data).sequence(&plain)?.into_iter();
        let mut topics = topics.iter();
        let mut arguments = Map::new();
        for (name, kind, indexed) in &self.inputs {
            let value = if *indexed { Data::topic(kind, topics.next()?)? } else { values.next()? };
            arguments.insert(name.clone(), value);
        }
        let mut event = Map::new();
        event.insert("name".into(), self.name.clone().into());
        event.insert("signature".into(), self.signature.clone().into());
        event.insert("args".into(), arguments.into());
        Some(event.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::offset::unhex;

    fn word(text: &str) -> [u8; 32] {
        unhex(&format!("{text:0>64}")).unwrap().try_into().unwrap()
    }

    fn data(words: &[&str]) -> Vec<u8> {
        words.iter().flat_map(|text| word(text)).collect()
    }

    const TRANSFER: &str = r#"[{"type":"function","name":"f","inputs":[]},{"type":"event","name":"Transfer","inputs":[
        {"name":"from","type":"address","indexed":true},{"name":"to","type":"address","indexed":true},
        {"name":"value","type":"uint256"}]}]"#;

    #[test]
    fn the_transfer_of_a_token_is_decoded() {
        let abi = Abi::parse(TRANSFER).unwrap();
        let topic = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
        assert_eq!(abi.0[0].topic, word(topic));
        let topics = [word(topic), word("a1"), word("b2")];
        let event = abi.decode(&topics, &data(&["ff".repeat(32).as_str()])).unwrap();
        assert_eq!(
            event,
            json!({"name": "Transfer", "signature": "Transfer(address,address,uint256)", "args": {
                "from": format!("0x{:0>40}", "a1"), "to": format!("0x{:0>40}", "b2"),
                "value": "115792089237316195423570985008687907853269984665640564039457584007913129639935"
            }})
        );
        assert_eq!(abi.decode(&topics[..2], &data(&["1"])), None, "an event with other indexes");
        assert_eq!(abi.decode(&topics, &[0; 31]), None, "too short");
        assert_eq!(abi.decode(&[word("1")], &[]), None, "another event");
        assert_eq!(abi.decode(&[], &[]), None);
    }

    #[test]
    fn values_of_every_type_are_decoded() {
        let abi = json!({"abi": [{"type": "event", "name": "E", "inputs": [
            {"name": "text", "type": "string"}, {"name": "small", "type": "int8"}, {"name": "", "type": "bool"},
            {"name": "list", "type": "uint16[]"}, {"name": "pair", "type": "bytes2[2]"},
            {"name": "it", "type": "tuple", "components": [{"name": "a", "type": "bytes"}, {"name": "b", "type": "bool"}]},
            {"name": "hashed", "type": "string", "indexed": true},
        ]}]});
        let abi = Abi::parse(&abi.to_string()).unwrap();
        let event = &abi.0[0];
        assert_eq!(event.signature, "E(string,int8,bool,uint16[],bytes2[2],(bytes,bool),string)");
        let words = [
            "e0",
            &"f".repeat(64),
            "1",
            "120",
            &format!("abcd{}", "0".repeat(60)),
            &format!("1234{}", "0".repeat(60)),
            "180",
            "2",
            &format!("6869{}", "0".repeat(60)),
            "2",
            "7",
            "8",
            "40",
            "1",
            "3",
            &format!("010203{}", "0".repeat(58)),
        ];
        let mut all = data(&words);
        // The places above: text at 0xe0, list at 0x120, the tuple at 0x180.
        all.truncate(words.len() * 32);
        let decoded = abi.decode(&[event.topic, word("99")], &all).unwrap();
        assert_eq!(
            decoded["args"],
            json!({"text": "hi", "small": "-1", "2": true, "list": ["7", "8"], "pair": ["0xabcd", "0x1234"],
                "it": {"a": "0x010203", "b": true}, "hashed": format!("0x{:0>64}", "99")})
        );
    }

    #[test]
    fn what_does_not_fit_is_no_event_and_does_no_harm() {
        let nested = json!([{"type": "event", "name": "E", "inputs": [{"name": "x", "type": format!("uint8{}", "[]".repeat(8))}]}]);
        let abi = Abi::parse(&nested.to_string()).unwrap();
        let topic = abi.0[0].topic;
        // Every element of every list is the same list: decoded, it would be larger than the world.
        let mut bomb = data(&["20"]);
        for _ in 0..64 {
            bomb.extend(data(&["20", "0"]));
        }
        assert_eq!(abi.decode(&[topic], &bomb), None);
        for word in ["20", &"f".repeat(64), "7fffffffffffffff", "ffffffffffffffe0"] {
            assert_eq!(abi.decode(&[topic], &data(&[word, word, word])), None);
        }
        assert_eq!(abi.decode(&[topic], &[]), None);
    }

    #[test]
    fn a_wrong_abi_is_refused() {
        let kind = |kind: &str| {
            Abi::parse(&json!([{"type": "event", "name": "E", "inputs": [{"type": kind}]}]).to_string())
        };
        for wrong in
            ["uint7", "uint264", "bytes33", "bytes0", "x", "uint8[", "uint8]", "uint8[0]", "tuple", "int08"]
        {
            assert!(kind(wrong).is_err(), "{wrong}");
        }
        assert!(kind(&format!("bool{}", "[]".repeat(100))).is_err(), "too deep");
        assert!(kind("uint[4][]").is_ok());
        assert_eq!(Abi::parse("[]").err().unwrap(), "it has no event");
        assert!(Abi::parse("{").is_err() && Abi::parse("7").is_err());
    }
}
