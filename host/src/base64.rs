//! Base64 as Jackson writes it in JSON: the standard alphabet, padded, in one line.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// For each byte its value in the alphabet; 64 for those that are not in it.
const VALUES: [u8; 256] = {
    let mut values = [64; 256];
    let mut index = 0;
    while index < 64 {
        values[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    values
};

/// Appends `data` in base64.
pub(crate) fn encode(data: &[u8], out: &mut Vec<u8>) {
    out.reserve(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = |shift: u32| ALPHABET[(bits >> shift & 0x3f) as usize];
        let quartet = [digit(18), digit(12), digit(6), digit(0)];
        let digits = chunk.len() + 1;
        out.extend_from_slice(&quartet[..digits]);
        out.extend(std::iter::repeat_n(b'=', 4 - digits));
    }
}

/// Appends what `text` stands for; `None`: it is not base64. Padding may be missing.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) || digits.len() % 4 == 1 {
        return None;
    }
    out.reserve(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut bits = 0u32;
        for byte in chunk {
            let value = VALUES[usize::from(*byte)];
            if value == 64 {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(data: &[u8]) -> String {
        let mut out = Vec::new();
        encode(data, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(data.as_bytes()), text);
            assert_eq!(decoded(text).unwrap(), data.as_bytes());
        }
        assert_eq!(encoded(&[0xff, 0xfe, 0xfd, 0xfb]), "//79+w==");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["A", "A===", "AB=", "A*==", "Zm9v=", "=", "AA=A"] {
            assert_eq!(decoded(text), None, "{text}");
        }
        assert_eq!(decoded("Zm8").unwrap(), b"fo");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(data in any::<Vec<u8>>()) {
            prop_assert_eq!(decoded(&encoded(&data)), Some(data));
        }
    }
}
