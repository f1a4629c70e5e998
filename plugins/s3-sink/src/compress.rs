//! Compression of whole objects, as they grow.
//!
//! What is written comes out in pieces, so memory is bounded by a piece and the compressor's window. Gzip is one
//! stream; Zstandard a frame for each piece, which readers take for one. Equal input gives equal output: that is
//! what an object which is written a second time is recognized by.

use std::io::Write as _;

use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use transom_sdk::Error;

/// What a Zstandard frame holds.
const FRAME: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    /// With its level, or -1.
    Gzip(i32),
    Zstd,
}

impl Compression {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
            Self::Zstd => ".zst",
        }
    }

    pub(crate) fn begin(self) -> Compressor {
        match self {
            Self::None => Compressor::None,
            Self::Gzip(level) => {
                let level = u32::try_from(level)
                    .map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
                Compressor::Gzip(GzEncoder::new(Vec::new(), level))
            }
            Self::Zstd => Compressor::Zstd(Vec::new()),
        }
    }
}

/// One object's compression.
#[derive(Debug)]
pub(crate) enum Compressor {
    None,
    Gzip(GzEncoder<Vec<u8>>),
    /// What the next frame will hold.
    Zstd(Vec<u8>),
}

impl Compressor {
    /// Whether what goes in comes out as it is.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Takes what is there, and adds to `out` what comes of it now.
    pub(crate) fn write(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::None => out.append(input),
            Self::Gzip(encoder) => {
                encoder.write_all(input)?;
                input.clear();
                out.append(encoder.get_mut());
            }
            Self::Zstd(waiting) => {
                waiting.append(input);
                let mut frames = waiting.chunks_exact(FRAME);
                for frame in frames.by_ref() {
                    out.extend(compress_to_vec(frame, CompressionLevel::Fastest));
                }
                let rest = frames.remainder().to_vec();
                *waiting = rest;
            }
        }
        Ok(())
    }

    /// Adds what is left.
    pub(crate) fn finish(self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::None => {}
            Self::Gzip(encoder) => out.extend(encoder.finish()?),
            Self::Zstd(rest) if rest.is_empty() => {}
            Self::Zstd(rest) => out.extend(compress_to_vec(rest.as_slice(), CompressionLevel::Fastest)),
        }
        Ok(())
    }

    /// Bytes that wait in it.
    pub(crate) fn waiting(&self) -> usize {
        if let Self::Zstd(waiting) = self { waiting.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Text that compresses, longer than a frame and no multiple of one.
    fn text() -> Vec<u8> {
        (0..500_000u64).flat_map(|number| (number * number % 977).to_string().into_bytes()).collect()
    }

    fn compressed(by: Compression, pieces: usize) -> Vec<u8> {
        let (mut compressor, mut out) = (by.begin(), Vec::new());
        for piece in text().chunks(pieces) {
            compressor.write(&mut piece.to_vec(), &mut out).unwrap();
        }
        compressor.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn what_is_compressed_can_be_read() {
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&compressed(Compression::Gzip(-1), 1000)[..])
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, text());
        let frames = compressed(Compression::Zstd, 1000);
        let mut read = Vec::with_capacity(text().len());
        ruzstd::decoding::FrameDecoder::new().decode_all_to_vec(&frames, &mut read).unwrap();
        assert_eq!(read, text());
        assert!(frames.len() < text().len() / 2, "{}", frames.len());
    }

    #[test]
    fn the_same_comes_out_whatever_the_pieces_were() {
        for by in [Compression::Gzip(6), Compression::Zstd] {
            assert!(compressed(by, 999) == compressed(by, 77_777), "{by:?}");
        }
    }
}
