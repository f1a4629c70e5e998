//! The offsets file of a Java standalone worker: a serialised `java.util.HashMap<byte[], byte[]>`.
//!
//! Only this one shape of the Java Object Serialization Stream Protocol is understood; anything else is told
//! apart and refused.

/// The stream's magic number and version.
const HEADER: [u8; 4] = [0xAC, 0xED, 0x00, 0x05];
const TC_NULL: u8 = 0x70;
const TC_REFERENCE: u8 = 0x71;
const TC_CLASSDESC: u8 = 0x72;
const TC_OBJECT: u8 = 0x73;
const TC_ARRAY: u8 = 0x75;
const TC_BLOCKDATA: u8 = 0x77;
const TC_ENDBLOCKDATA: u8 = 0x78;
/// Handles count from here.
const FIRST_HANDLE: u32 = 0x7E_0000;

/// Whether these bytes are a serialised Java object.
pub(super) fn is_java(bytes: &[u8]) -> bool {
    bytes.starts_with(&HEADER)
}

/// A key and its value.
type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// The entries of the map.
pub(super) fn map_of_bytes(bytes: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let mut stream = Stream { rest: bytes.get(HEADER.len()..).unwrap_or_default(), handles: Vec::new() };
    stream.expect(TC_OBJECT, "an object")?;
    let class = stream.class()?;
    if class != "java.util.HashMap" {
        return Err(format!("a serialised {class}, not a java.util.HashMap"));
    }
    stream.handles.push(Handle::Other);
    // loadFactor and threshold.
    let _ = stream.take(8)?;
    stream.expect(TC_BLOCKDATA, "the map's size")?;
    if stream.byte()? != 8 {
        return Err("a map of another version of Java".to_owned());
    }
    let _buckets = stream.int()?;
    let size = stream.int()?;
    let mut entries = Vec::new();
    for _ in 0..size {
        let key = stream.array()?.ok_or("a key that is null")?;
        entries.push((key, stream.array()?));
    }
    Ok(entries)
}

/// What a reference may point to.
enum Handle<'a> {
    Array(&'a [u8]),
    Other,
}

struct Stream<'a> {
    rest: &'a [u8],
    handles: Vec<Handle<'a>>,
}

impl<'a> Stream<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("a file that ends too soon")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn int(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<String, String> {
        let bytes = self.take(2)?;
        let length = u16::from_be_bytes([bytes[0], bytes[1]]);
        Ok(String::from_utf8_lossy(self.take(length.into())?).into_owned())
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<(), String> {
        match self.byte()? {
            found if found == wanted => Ok(()),
            found => Err(format!("byte {found:#04x} where {what} should begin")),
        }
    }

    /// A class description, new or known; the name of a new one.
    fn class(&mut self) -> Result<String, String> {
        match self.byte()? {
            TC_REFERENCE => {
                let _ = self.int()?;
                Ok(String::new())
            }
            TC_CLASSDESC => {
                let name = self.text()?;
                self.handles.push(Handle::Other);
                // serialVersionUID and flags.
                let _ = self.take(9)?;
                let fields = self.take(2)?;
                for _ in 0..u16::from_be_bytes([fields[0], fields[1]]) {
                    let kind = self.byte()?;
                    let _ = self.text()?;
                    if matches!(kind, b'L' | b'[') {
                        return Err(format!("a class {name} with other fields"));
                    }
                }
                self.expect(TC_ENDBLOCKDATA, "the end of a class")?;
                self.expect(TC_NULL, "no superclass")?;
                Ok(name)
            }
            found => Err(format!("byte {found:#04x} where a class should begin")),
        }
    }

    fn array(&mut self) -> Result<Option<&'a [u8]>, String> {
        match self.byte()? {
            TC_NULL => Ok(None),
            TC_REFERENCE => {
                let index = self.int()?.checked_sub(FIRST_HANDLE).ok_or("a wrong reference")?;
                match self.handles.get(index as usize) {
                    Some(Handle::Array(bytes)) => Ok(Some(bytes)),
                    _ => Err("a reference to no array".to_owned()),
                }
            }
            TC_ARRAY => {
                let class = self.class()?;
                if !class.is_empty() && class != "[B" {
                    return Err(format!("an array {class}, not one of bytes"));
                }
                let length = self.int_as_length()?;
                let bytes = self.take(length)?;
                self.handles.push(Handle::Array(bytes));
                Ok(Some(bytes))
            }
            found => Err(format!("byte {found:#04x} where an array of bytes should begin")),
        }
    }

    /// In an array the handle is assigned before its length is read, and nothing comes between.
    fn int_as_length(&mut self) -> Result<usize, String> {
        usize::try_from(self.int()?).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `ObjectOutputStream`: three keys, two of them with the same array, one with null.
    const HEX: &str = "\
        aced0005737200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f61644661\
        63746f724900097468726573686f6c6478703f4000000000000c77080000001000000003757200025b42acf317\
        f8060854e002000078700000001a5b226f74686572222c7b2266696c656e616d65223a2262227d5d7571007e00\
        020000000f7b22706f736974696f6e223a31327d7571007e00020000002d5b226c6f63616c2d66696c652d736f\
        75726365222c7b2266696c656e616d65223a22746573742e747874227d5d71007e00047571007e000200000019\
        5b22676f6e65222c7b2266696c656e616d65223a2263227d5d7078\
        ";

    fn bytes() -> Vec<u8> {
        let digits: Vec<u8> = HEX.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    #[test]
    fn the_map_that_java_wrote_is_read() {
        let bytes = bytes();
        assert!(is_java(&bytes));
        let mut entries = map_of_bytes(&bytes).unwrap();
        entries.sort();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let entries: Vec<_> = entries.into_iter().map(|(k, v)| (text(k), v.map(text))).collect();
        assert_eq!(
            entries,
            [
                ("[\"gone\",{\"filename\":\"c\"}]".to_owned(), None),
                (
                    "[\"local-file-source\",{\"filename\":\"test.txt\"}]".to_owned(),
                    Some("{\"position\":12}".to_owned())
                ),
                ("[\"other\",{\"filename\":\"b\"}]".to_owned(), Some("{\"position\":12}".to_owned())),
            ]
        );
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let bytes = bytes();
        for length in 4..bytes.len() - 1 {
            assert!(map_of_bytes(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
