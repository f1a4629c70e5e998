//! The file of offsets: JSON that a person can read, written whole and atomically.
//!
//! ```json
//! {"version":1,"offsets":{"local-file-source":[[{"filename":"test.txt"},{"position":12}]]}}
//! ```
//!
//! A file that a Java standalone worker wrote is read too, and becomes one of ours at the first save.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::java;
use super::store::{Offsets, StoreError, canonical};

/// The version that is written.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    version: u32,
    #[serde(borrow)]
    offsets: BTreeMap<String, Vec<(&'a RawValue, &'a RawValue)>>,
}

/// What the file holds; nothing, when it is missing or empty.
pub(super) fn read(path: &Path) -> Result<Offsets, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Offsets::new()),
        Err(error) => return Err(StoreError::Read { path: path.to_owned(), source: Arc::new(error) }),
    };
    if bytes.is_empty() {
        // What `touch` leaves behind; our own writes never do.
        return Ok(Offsets::new());
    }
    let parsed = if java::is_java(&bytes) { from_java(&bytes) } else { from_json(&bytes) };
    parsed.map_err(|problem| StoreError::Content { path: path.to_owned(), problem })
}

/// Invariant 5: after a kill at any instant the file is the old one or the new one.
pub(super) fn write(path: &Path, offsets: &Offsets) -> Result<(), StoreError> {
    replace(path, &to_json(offsets))
        .map_err(|source| StoreError::Write { path: path.to_owned(), source: Arc::new(source) })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = folder.join(name);
    // Offsets can tell names of tables and files: for the owner's eyes.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    // Before the rename, or the name could point to a file whose content a crash of the machine has lost.
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The rename itself is durable only with its folder.
    File::open(folder)?.sync_all()
}

fn to_json(offsets: &Offsets) -> Vec<u8> {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("only JSON comes into the store");
    let owned: BTreeMap<&str, Vec<[Box<RawValue>; 2]>> = offsets
        .iter()
        .filter(|(_, partitions)| !partitions.is_empty())
        .map(|(connector, partitions)| {
            (connector.as_str(), partitions.values().map(|(p, o)| [raw(p), raw(o)]).collect())
        })
        .collect();
    let mut bytes = serde_json::to_vec(&serde_json::json!({ "version": VERSION, "offsets": owned }))
        .expect("JSON can be written");
    bytes.push(b'\n');
    bytes
}

fn from_json(bytes: &[u8]) -> Result<Offsets, String> {
    let content: Content<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if content.version != VERSION {
        return Err(format!("version {} (this worker knows {VERSION})", content.version));
    }
    let mut offsets = Offsets::new();
    for (connector, positions) in content.offsets {
        for (partition, offset) in positions {
            insert(&mut offsets, &connector, partition.get(), offset.get())?;
        }
    }
    Ok(offsets)
}

/// Java keeps a map from `["connector",{partition}]` to `{offset}`, both JSON in bytes.
fn from_java(bytes: &[u8]) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for (key, value) in java::map_of_bytes(bytes)? {
        let Some(value) = value else { continue };
        let (connector, partition): (String, &RawValue) = serde_json::from_slice(key)
            .map_err(|error| format!("the key {} ({error})", String::from_utf8_lossy(key)))?;
        let value =
            std::str::from_utf8(value).map_err(|error| format!("the offset of {connector} ({error})"))?;
        if value != "null" {
            insert(&mut offsets, &connector, partition.get(), value)?;
        }
    }
    Ok(offsets)
}

fn insert(offsets: &mut Offsets, connector: &str, partition: &str, offset: &str) -> Result<(), String> {
    let key = canonical("a source partition", partition).map_err(|error| error.to_string())?;
    let _ = canonical("a source offset", offset).map_err(|error| error.to_string())?;
    let position = (partition.into(), offset.into());
    let _ = offsets.entry(connector.to_owned()).or_default().insert(key, position);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const GOLDEN: &str = "{\"version\":1,\"offsets\":{\"a\":[[{\"filename\":\"f\"},{\"position\":12}],\
                          [{\"z\":1,\"b\":2},{\"x\":null}]],\"b\":[[{},{}]]}}\n";

    #[test]
    fn the_golden_file_is_read_and_written_the_same() {
        let offsets = from_json(GOLDEN.as_bytes()).unwrap();
        assert_eq!(offsets["a"].len(), 2);
        let again = from_json(&to_json(&offsets)).unwrap();
        assert_eq!(again, offsets);
        let text = String::from_utf8(to_json(&offsets)).unwrap();
        assert!(text.contains(r#"[{"z":1,"b":2},{"x":null}]"#), "as it was given: {text}");
    }

    #[test]
    fn the_file_is_for_its_owner_only_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        write(&path, &from_json(GOLDEN.as_bytes()).unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_something_else_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        for content in
            ["hello", "{\"version\":2,\"offsets\":{}}", "{\"version\":1,\"offsets\":{\"a\":[[1,2]]}}", "{}"]
        {
            let path = folder.path().join("offsets.json");
            fs::write(&path, content).unwrap();
            assert!(matches!(read(&path), Err(StoreError::Content { .. })), "{content}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_missing_or_empty_file_has_no_offsets() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        fs::write(folder.path().join("empty"), "").unwrap();
        assert!(read(&folder.path().join("empty")).unwrap().is_empty());
    }
}
